"""The process that reads documents from outside: it may die, hang or grow, and its caller says so and goes on."""

from __future__ import annotations

import concurrent.futures
import multiprocessing
import os
import pickle
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from respine.errors import InputError
from respine.model import Limits, load, reader, reader_process
from respine.model.limits import LIMITS
from respine.model.source import Source, from_text

from .documents import assign, parameters, rules, sbml

GOOD = sbml(parameters(a=1))


@pytest.fixture(autouse=True)
def fresh() -> None:
    """Every test begins with a process that has read nothing."""
    reader.stop()


def behave(monkeypatch: pytest.MonkeyPatch, action: str) -> None:
    """Make the process do something else before it reads a document that is called ``bad``."""
    code = (
        "import os, signal, sys, time\nimport respine.model.reader_process as p\nright = p.read\n"
        "def read(source, limits):\n    if b'bad' in source.data:\n"
        + "".join(f"        {line}\n" for line in action.split("\n"))
        + "    return right(source, limits)\np.read = read\np.main()"
    )
    monkeypatch.setattr(
        reader,
        "_START",
        "import sys; sys.path[:] = sys.argv[1].split({sep!r})\n" + code.replace("{", "{{").replace("}", "}}"),
    )


def bad_refusal(limits: Limits = LIMITS) -> str:
    with pytest.raises(InputError) as caught:
        load(sbml(parameters(bad=1)), limits=limits)
    (problem,) = caught.value.problems
    assert problem.where == "SBML text" and problem.cure
    return problem.why


DEATHS = {
    "segmentation fault": "os.kill(os.getpid(), signal.SIGSEGV)", "abort": "os.abort()", "kill": "os.kill(os.getpid(), signal.SIGKILL)",
    "bus error": "os.kill(os.getpid(), signal.SIGBUS)", "division": "os.kill(os.getpid(), signal.SIGFPE)", "exit": "os._exit(3)",
    "quiet exit": "os._exit(0)", "closed stream": "os.close(3); os._exit(1)", "half an answer": "p.HEAD; os.write(3, b'\\0' * 5); os._exit(0)",
    "the memory of the stack": "def f(): f()\nimport ctypes; ctypes.string_at(0)",
}  # fmt: skip


@pytest.mark.skipif(os.name != "posix", reason="signals")
@pytest.mark.parametrize("death", DEATHS)
def test_a_death_is_told_and_the_next_document_read(death: str, monkeypatch: pytest.MonkeyPatch) -> None:
    behave(monkeypatch, DEATHS[death])
    assert "libSBML died while reading it" in bad_refusal()
    assert load(GOOD).parameters == {"a": 1}


HANGS = {"sleep": "time.sleep(60)", "loop": "while True: pass", "deaf": "signal.pthread_sigmask(signal.SIG_BLOCK, range(1, 32))\ntime.sleep(60)",
         "no end of output": "while True: p.send(sys.stdout.buffer, b'x' * 1000)"}  # fmt: skip


@pytest.mark.skipif(os.name != "posix", reason="signals")
@pytest.mark.parametrize("hang", HANGS)
def test_a_hang_ends_with_the_limit(hang: str, monkeypatch: pytest.MonkeyPatch) -> None:
    behave(monkeypatch, HANGS[hang])
    begun = time.perf_counter()
    assert "does not end" in bad_refusal(Limits(seconds=1.5))
    assert time.perf_counter() - begun < 10
    assert load(GOOD).parameters == {"a": 1}


@pytest.mark.skipif(sys.platform != "linux", reason="limits of memory")
def test_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    behave(monkeypatch, "x = bytearray(3 * 10**9)")
    assert "more than 1 GB of memory" in bad_refusal(Limits(memory_gb=1))
    assert load(GOOD).parameters == {"a": 1}


def test_what_the_libraries_print_disturbs_nobody(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    behave(monkeypatch, "os.write(1, b'noise' * 1000); os.write(2, b'noise'); print('noise', flush=True)")
    assert load(sbml(parameters(bad=1))).parameters == {"bad": 1}
    assert capfd.readouterr() == ("", "")


def test_one_process_reads_many_documents() -> None:
    load(GOOD)
    first = reader._reader
    for k in range(20):
        assert load(sbml(parameters(**{f"a{k}": k}))).parameters == {f"a{k}": k}
    assert reader._reader is first


def test_a_process_that_went_home_is_started_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """It ends after a while without questions, perhaps just as the next one comes."""
    behave(
        monkeypatch,
        "if not os.path.exists(os.environ['MARK']): open(os.environ['MARK'], 'w').close(); os._exit(p.IDLE)",
    )
    mark = Path(os.environ.get("TMPDIR", "/tmp")) / f"respine-mark-{os.getpid()}"
    monkeypatch.setenv("MARK", str(mark))
    try:
        assert load(sbml(parameters(bad=1))).parameters == {"bad": 1}
    finally:
        mark.unlink(missing_ok=True)


def test_silence_ends_the_process(monkeypatch: pytest.MonkeyPatch) -> None:
    start = reader._START.replace(
        "import main;", "import main; import respine.model.reader_process as p; p.IDLE_S = 0.5;"
    )
    monkeypatch.setattr(reader, "_START", start)
    load(GOOD)
    assert reader._reader is not None
    assert reader._reader.process.wait(timeout=10) == reader_process.IDLE
    assert load(GOOD).parameters == {"a": 1}


def test_threads_wait_for_each_other() -> None:
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        texts = [sbml(parameters(**{f"a{k}": k})) for k in range(24)]
        for k, system in enumerate(pool.map(load, texts)):
            assert system.parameters == {f"a{k}": k}


def _read_in_child(k: int) -> tuple[int, dict[str, float]]:
    system = load(sbml(parameters(**{f"a{k}": k})))
    assert reader._reader is not None
    return reader._reader.process.pid, dict(system.parameters)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_forked_process_has_a_reader_of_its_own() -> None:
    load(GOOD)
    assert reader._reader is not None
    own = reader._reader.process.pid
    with multiprocessing.get_context("fork").Pool(2) as pool:
        result = pool.map(_read_in_child, range(6))
    assert [values for _, values in result] == [{f"a{k}": k} for k in range(6)]
    assert own not in {pid for pid, _ in result}
    assert load(GOOD).parameters == {"a": 1}


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return "Z" not in Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


@pytest.mark.skipif(sys.platform != "linux", reason="looks at /proc")
@pytest.mark.parametrize(
    "ending",
    [
        "",
        "import os; os._exit(0)",
        "import os, signal; os.kill(os.getpid(), signal.SIGKILL)",
        "raise SystemExit(3)",
        "1 / 0",
    ],
)
def test_nothing_is_left_behind(ending: str) -> None:
    """However its caller ends, the process ends with it."""
    code = f"from respine.model import load, reader\nload({GOOD!r})\nprint(reader._reader.process.pid, flush=True)\n{ending}"
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=False)
    pid = int(done.stdout)
    deadline = time.monotonic() + 10
    while _alive(pid) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not _alive(pid)
    assert "ResourceWarning" not in done.stderr


def test_an_interrupted_question_spoils_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    load(GOOD)

    def interrupted(stream: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(reader, "receive", interrupted)
    with pytest.raises(KeyboardInterrupt):
        load(GOOD)
    monkeypatch.undo()
    assert load(sbml(parameters(b=2))).parameters == {"b": 2}


def test_a_document_larger_than_a_pipe_passes() -> None:
    text = GOOD.replace("<model", "<!--" + "x" * 3_000_000 + "--><model")
    assert load(text).parameters == {"a": 1}


def test_the_environment_of_the_caller_does_not_matter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The process imports what its caller imported, from wherever that came."""
    (tmp_path / "libsbml.py").write_text("raise ImportError('the wrong one')")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setenv("PYTHONSTARTUP", str(tmp_path / "libsbml.py"))
    assert load(GOOD).parameters == {"a": 1}


def test_content_and_refusals_pass_between_processes() -> None:
    content = reader_process.answer(from_text(GOOD, LIMITS), LIMITS)
    assert pickle.loads(pickle.dumps(content)) == content
    kind, problems = reader_process.answer(Source("m", "SBML", b"<sbml/>"), LIMITS)
    assert kind == "problems" and pickle.loads(pickle.dumps(problems)) == problems


def test_reading_here_and_there_gives_the_same() -> None:
    text = sbml(parameters(a=1, b=0) + rules(assign("b", "<apply><sin/><ci>a</ci></apply>")))
    kind, here = reader_process.answer(from_text(text, LIMITS), LIMITS)
    assert kind == "content" and here == reader.read(from_text(text, LIMITS), LIMITS)


@pytest.mark.skipif(os.name != "posix", reason="signals")
def test_the_library_itself_needs_no_process(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("RESPINE_CACHE", str(tmp_path))
    monkeypatch.setattr(subprocess, "Popen", None)
    assert load("mouse").states


@pytest.mark.skipif(os.name != "posix", reason="signals")
def test_the_signal_of_a_death_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    behave(monkeypatch, "os.kill(os.getpid(), signal.SIGSEGV)")
    assert (signal.strsignal(signal.SIGSEGV) or "") in bad_refusal()
