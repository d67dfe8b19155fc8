"""What this process may use of the machine: the cores and the memory that its affinity and control group leave it."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

CGROUP = Path("/sys/fs/cgroup")


def cores() -> int:
    """Cores that may be used: those of the affinity mask (``taskset``, a batch system), no more than the quota of the
    control group (a container), at least 1.
    """
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    share = _quota()
    return max(1, allowed if share is None else min(allowed, round(share + 0.25)))


def _quota(root: Path | None = None, own: Path = Path("/proc/self/cgroup")) -> float | None:
    """Cores that the control group allows, None without a limit; of version 2 (``cpu.max``) or 1, of the groups above too."""
    root = CGROUP if root is None else root
    limits = []
    for folder in _groups(root, own):
        with contextlib.suppress(OSError, ValueError, IndexError):
            quota, period = (folder / "cpu.max").read_text().split()[:2]
            if quota != "max":
                limits.append(int(quota) / int(period))
        with contextlib.suppress(OSError, ValueError):
            quota_us = int((folder / "cpu.cfs_quota_us").read_text())
            if quota_us > 0:
                limits.append(quota_us / int((folder / "cpu.cfs_period_us").read_text()))
    good = [limit for limit in limits if limit > 0]
    return min(good) if good else None


def _groups(root: Path, own: Path) -> list[Path]:
    """Folders of the control groups this process is in, those around them too."""
    folders = [root, root / "cpu", root / "memory"]
    with contextlib.suppress(OSError):
        for line in own.read_text().splitlines():
            _, controllers, path = [*line.split(":", 2), "", ""][:3]
            base = root / controllers.split(",")[0] if controllers else root
            here = base / path.lstrip("/")
            folders += [here, *(folder for folder in here.parents if base in (folder, *folder.parents))]
    return list(dict.fromkeys(folders))


def memory() -> float | None:
    """MB of memory that may be used, None where nobody says."""
    limits = []
    for folder in _groups(CGROUP, Path("/proc/self/cgroup")):
        for name in ("memory.max", "memory.limit_in_bytes"):
            with contextlib.suppress(OSError, ValueError):
                limits.append(int((folder / name).read_text()) / 1e6)
    with contextlib.suppress(OSError, ValueError, AttributeError):
        limits.append(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e6)
    return min(limits) if limits else None


def peak_memory() -> float:
    """MB that this process has held at most."""
    import resource
    import sys

    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most / (1e6 if sys.platform == "darwin" else 1e3)
