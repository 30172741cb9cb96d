"""What `sisyphus doctor` asks of the voice front end: its packages, its weights by sha256, its page.

Speech is a comfort: without weights the page works by typing, so only what is damaged is a problem.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from importlib.util import find_spec

from infra.health import Check, absent, bad, good
from infra.settings import Settings
from voice.services.errors import WeightsCorrupt, WeightsMissing
from voice.services.weight_pins import ALL_MODELS
from voice.services.weights import Weights, package_folder
from voice.vendor_logs import tame_vendors

#: Package -> the extra that brings it, as far as hearing and speaking need more than the page.
_PACKAGES = {"ctranslate2": "voice", "onnxruntime": "voice", "piper": "piper"}


def checks(settings: Settings) -> Iterable[Check]:
    """Try each part; blocking, since hundreds of megabytes are hashed the first time."""
    tame_vendors(settings.log_level)
    # Loads Pipecat, which must find its log in order.
    from voice.settings import PAGE

    yield from _packages()
    yield from _weights(settings)
    if (PAGE / "index.html").is_file():
        yield good("page", str(PAGE))
    else:
        yield bad("page", "is not built", "run scripts/run, or: cd voice/web && npm ci && npm run build")


def _packages() -> Iterator[Check]:
    missing = [name for name in _PACKAGES if find_spec(name) is None]
    if not missing:
        yield good("voice packages", ", ".join(_PACKAGES))
    for name in missing:
        yield absent(
            f"voice package {name}", "is not installed: no speech", f"pip install 'sisyphus-cluster[{_PACKAGES[name]}]'"
        )


def _weights(settings: Settings) -> Iterator[Check]:
    from voice.settings import speech_settings

    speech = speech_settings(settings)
    weights = Weights(speech.models_dir, speech.weights)
    for model in ALL_MODELS:
        name = f"weights {model.name}"
        try:
            place = weights.find(model)
        except WeightsMissing:
            packages = {package for file in model.files for package, _ in file.parts}
            if all(package_folder(package) for package in packages):
                yield good(name, "installed; put in place and checked at the first start")
                continue
            yield absent(name, f"are not here: {model.without}", f"run scripts/run, or {model.how}")
        except WeightsCorrupt as error:
            yield bad(name, str(error), "run scripts/run again")
        else:
            yield good(name, f"{place}, every file as pinned")
