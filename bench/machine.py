"""What the machine is, as far as it explains the figures; and the peers that it has, or gets."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
from pathlib import Path

import psutil  # type: ignore[import-untyped]  # it brings no types

from bench.contenders import clone_options, compares
from bench.place import SETTINGS, BenchError, Place

PACKAGES = {"pgcopydb": "pgcopydb", "pg_comparator": "postgresql-comparator"}
"""Program -> Debian's package."""
SERVERS = "PostgreSQL, both sides"
COMPARATOR_EXTENSION = "pgcmp"


def describe(directory: Path) -> dict[str, str]:
    """Cores, memory, kernel, and the disk below the directory, by what they are called in the table."""
    device = _block_device(directory)
    return {
        "processor": f"{os.cpu_count()} x {_processor()}",
        "memory": f"{psutil.virtual_memory().total / 2**30:.0f} GiB",
        "system": f"{platform.freedesktop_os_release().get('PRETTY_NAME', '?')}, Linux {platform.release()}",
        "disk": f"{_disk_kind(device)}, {_filesystem(directory)}",
        "load before": f"{os.getloadavg()[0]:.1f}",
        "Python": platform.python_version(),
    }


def describe_servers(place: Place) -> dict[str, str]:
    """The same, with the servers and what works on them."""
    return {
        **describe(place.directory),
        SERVERS: place.rows(place.target, "postgres", "SHOW server_version")[0][0],
        "settings, both sides": ", ".join(f"{name} = {value}" for name, value in SETTINGS.items()),
        "pgcopydb": " ".join([_version("pgcopydb"), *clone_options()]),
        "pg_comparator": _version("pg_comparator"),
        "workers, pipes, jobs": str(place.streams),
    }


def missing_peers(place: Place) -> dict[str, str]:
    """Peers that cannot take part, each with the reason; those of the package manager are installed where we may."""
    missing: dict[str, str] = {}
    for program, package in PACKAGES.items():
        try:
            _require(program, package)
        except BenchError as error:
            missing |= {program: str(error)} | ({"pgcopydb_lz4": str(error)} if program == "pgcopydb" else {})
    loadable = "SELECT count(*) FROM pg_available_extensions WHERE name = %s"
    if "pg_comparator" not in missing and place.rows(place.target, "postgres", loadable, [COMPARATOR_EXTENSION]) == [
        (0,)
    ]:
        missing["pg_comparator"] = f"PostgreSQL {place.target.major} here has no extension {COMPARATOR_EXTENSION}"
    if not compares():
        missing["pgcopydb_verified"] = missing.get("pgcopydb", f"{_version('pgcopydb')} compares nothing")
    if not place.has_lz4:
        reason = f"PostgreSQL {place.target.major} here was built without lz4"
        missing |= {name: missing.get(name, reason) for name in ("pgcopydb_lz4", "pg_dump_lz4")}
    return missing


def _require(program: str, package: str) -> None:
    if shutil.which(program):
        return
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        raise BenchError(f"there is no {program}; install it, or run this as root where apt-get is")
    print(f"Installing {package}", flush=True)
    command = ["apt-get", "install", "--yes", "--no-install-recommends", package]
    done = subprocess.run(
        command, capture_output=True, text=True, env=os.environ | {"DEBIAN_FRONTEND": "noninteractive"}, check=False
    )
    if done.returncode != 0 or not shutil.which(program):
        said = done.stderr.strip().splitlines()
        raise BenchError(f"apt-get could not install {package}: {said[-1] if said else done.returncode}")


def _version(program: str) -> str:
    if not shutil.which(program):
        return "none"
    done = subprocess.run([program, "--version"], capture_output=True, text=True, check=False)
    return next(iter((done.stdout + done.stderr).splitlines()), "of no version")


def _processor() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())


def _block_device(directory: Path) -> Path | None:
    number = directory.stat().st_dev
    path = Path(f"/sys/dev/block/{os.major(number)}:{os.minor(number)}")
    return path.resolve() if path.exists() else None


def _disk_kind(device: Path | None) -> str:
    for place in (device, device.parent if device else None):  # a partition's parent is its disk
        if place and (place / "queue" / "rotational").exists():
            turning = (place / "queue" / "rotational").read_text().strip() == "1"
            return f"{place.name}, {'rotational' if turning else 'not rotational'}"
    return "no block device"


def _filesystem(directory: Path) -> str:
    mounts = [each for each in psutil.disk_partitions(all=True) if directory.is_relative_to(each.mountpoint)]
    return str(max(mounts, key=lambda each: len(each.mountpoint)).fstype) if mounts else "?"
