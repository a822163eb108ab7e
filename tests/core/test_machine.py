import os
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from vasari.core.machine import NICE, let_others_go_first, multiplies_bfloat16, usable_cores, usable_memory


def place(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


@pytest.fixture
def many_cores(monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(64)), raising=False)


def test_here_there_is_at_least_one_core_and_some_memory():
    assert 1 <= usable_cores() <= (os.cpu_count() or 1)
    assert 50e6 < usable_memory() <= os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


@pytest.mark.parametrize(
    ("files", "cores"),
    [
        ({}, 64),
        ({"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "150000 100000\n"}, 2),
        ({"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "10000 100000\n"}, 1),
        ({"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "max 100000\n"}, 64),
        (
            {
                "proc/self/cgroup": "0::/pod/box\n",
                "sys/fs/cgroup/pod/cpu.max": "300000 100000",
                "sys/fs/cgroup/pod/box/cpu.max": "max 100000",
            },
            3,
        ),
        (
            {
                "proc/self/cgroup": "5:cpu,cpuacct:/docker/x\n1:memory:/docker/x\n",
                "sys/fs/cgroup/cpu,cpuacct/docker/x/cpu.cfs_quota_us": "400000",
                "sys/fs/cgroup/cpu,cpuacct/docker/x/cpu.cfs_period_us": "100000",
            },
            4,
        ),
        (
            {
                "proc/self/cgroup": "5:cpu,cpuacct:/\n",
                "sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us": "-1",
                "sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us": "100000",
            },
            64,
        ),
        ({"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "what?"}, 64),
    ],
)
def test_the_quota_of_a_container_counts(tmp_path, many_cores, files, cores):
    assert usable_cores(place(tmp_path, files)) == cores


def test_the_memory_limit_of_a_container_counts(tmp_path):
    v2 = {"proc/self/cgroup": "0::/a/b\n", "sys/fs/cgroup/a/memory.max": "1000000\n"}
    v1 = {
        "proc/self/cgroup": "7:memory:/a\n",
        "sys/fs/cgroup/memory/a/memory.limit_in_bytes": "2000000",
        "sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712",
    }
    assert usable_memory(place(tmp_path / "2", v2)) == 1_000_000
    assert usable_memory(place(tmp_path / "1", v1)) == 2_000_000


@pytest.mark.parametrize(
    ("line", "has"),
    [
        ("flags : fma avx512f avx512_bf16", True),
        ("Features : asimd bf16", True),
        ("flags : fma avx512f", False),
    ],
)
def test_products_of_bfloat16_are_asked_of_the_processor(tmp_path, line, has):
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc/cpuinfo").write_text(f"model name : Any\n{line}\n")
    assert multiplies_bfloat16(tmp_path) is has
    assert not multiplies_bfloat16(tmp_path / "nowhere")


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has a niceness for every thread")
def test_one_thread_lets_others_go_first_and_only_that_one():
    before = os.getpriority(os.PRIO_PROCESS, threading.get_native_id())
    with ThreadPoolExecutor(1, initializer=let_others_go_first) as pool:
        nice = pool.submit(lambda: os.getpriority(os.PRIO_PROCESS, threading.get_native_id())).result()
    assert nice == max(NICE, before)
    assert os.getpriority(os.PRIO_PROCESS, threading.get_native_id()) == before
