# Set-up shared by scripts/run and scripts/test; sourced, POSIX sh. Everything lands in .venv and voice/web/dist;
# each step remembers the checksum of what it was made from, so that a second start skips it.
# The caller stands in the repository's root.
set -eu
VENV=$PWD/.venv
STAMPS=$VENV/stamps

say() { printf '%s\n' "$*" >&2; }
die() { say ""; say "error: $*"; exit 3; }

# step NUMBER TEXT COMMAND...: runs quietly, shows the seconds it took, and the log's end if it fails
step() {
  number=$1 text=$2; shift 2
  printf '[%s] %s ... ' "$number" "$text" >&2
  begin=$(date +%s) log=$(mktemp)
  if "$@" >"$log" 2>&1; then
    say "done ($(($(date +%s) - begin)) s)"
    rm -f "$log"
  else
    say "FAILED"
    tail -n 25 "$log" >&2
    rm -f "$log"
    die "set-up stopped at: $text. Run the command again once the cause is mended; finished steps are skipped."
  fi
}

# fresh NAME FILES...: true when step NAME was last made from exactly these files
fresh() {
  name=$1; shift
  [ -f "$STAMPS/$name" ] && [ "$(cat "$STAMPS/$name")" = "$(cat "$@" 2>/dev/null | cksum)" ]
}
made() {
  name=$1; shift
  mkdir -p "$STAMPS"
  cat "$@" 2>/dev/null | cksum >"$STAMPS/$name"
}

# packages COMMAND=PACKAGE...: system packages for the commands that are missing, by apt where that is possible
packages() {
  missing=""
  for pair in "$@"; do
    command -v "${pair%%=*}" >/dev/null 2>&1 || missing="$missing ${pair#*=}"
  done
  [ -n "$missing" ] || return 0
  if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
    step system "system packages:$missing" apt_install $missing
  else
    [ -n "${OPTIONAL:-}" ] && { say "[system] not installed:$missing (sudo apt-get install$missing)"; return 0; }
    die "please install first: sudo apt-get install$missing"
  fi
}
apt_install() {
  export DEBIAN_FRONTEND=noninteractive
  apt-get -q update && apt-get -q install -y --no-install-recommends "$@"
}

find_python() {
  for name in python3.12 python3.13 python3.11 python3; do
    if command -v "$name" >/dev/null 2>&1 &&
      "$name" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null; then
      PYTHON=$name
      return 0
    fi
  done
  return 1
}

python_packages() { # LOCKFILE
  lock=$1
  if fresh python "$lock" pyproject.toml && [ -x "$VENV/bin/sisyphus" ]; then return 0; fi
  if [ ! -x "$VENV/bin/python" ]; then
    rm -rf "$VENV"
    step python "virtual environment ($PYTHON)" "$PYTHON" -m venv "$VENV"
  fi
  if [ ! -x "$VENV/bin/uv" ]; then
    "$VENV/bin/python" -m pip --version >/dev/null 2>&1 || "$PYTHON" -m venv "$VENV"
    step python "package installer" "$VENV/bin/python" -m pip -q install --disable-pip-version-check uv
  fi
  step python "Python packages (about 1.5 GB, a few minutes the first time)" install_locked "$lock"
  made python "$lock" pyproject.toml
}
install_locked() {
  # the machine's own certificates and package index, as pip is configured to use them
  if [ -z "${SSL_CERT_FILE:-}" ] && [ -f /etc/ssl/certs/ca-certificates.crt ]; then
    SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt
    export SSL_CERT_FILE
  fi
  index=$("$VENV/bin/python" -m pip config get global.index-url 2>/dev/null || true)
  [ -z "$index" ] || { UV_DEFAULT_INDEX=$index; export UV_DEFAULT_INDEX; }
  export VIRTUAL_ENV="$VENV"
  "$VENV/bin/uv" pip install --require-hashes -r "$1" && "$VENV/bin/uv" pip install --no-deps -e .
}

page() {
  sources="voice/web/package-lock.json voice/web/index.html voice/web/vite.config.ts $(find voice/web/src voice/web/public -type f 2>/dev/null | sort)"
  # shellcheck disable=SC2086
  if fresh page $sources && [ -f voice/web/dist/index.html ]; then return 0; fi
  step page "web page: packages" in_web npm ci --ignore-scripts --no-audit --no-fund
  step page "web page: build" in_web npm run build
  # shellcheck disable=SC2086
  made page $sources
}
in_web() { (cd voice/web && PATH="$VENV/bin:$PATH" "$@"); }

weights() {
  if fresh weights voice/services/weight_pins.py; then return 0; fi
  step speech "speech weights: put in place and checked by sha256" "$VENV/bin/python" -m voice.services.weights
  made weights voice/services/weight_pins.py
}

setup() { # LOCKFILE
  find_python || packages python3.11=python3
  packages bwrap=bubblewrap
  find_python || die "Python 3.11, 3.12 or 3.13 is needed; this machine's package manager has no such python3"
  "$PYTHON" -c 'import ensurepip, venv' 2>/dev/null || packages /no/such/file=python3-venv
  python_packages "$1"
  page
  weights
}
