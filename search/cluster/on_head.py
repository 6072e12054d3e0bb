"""An order, run on the head: the command's output as frames, its files sent back."""

import os
import shutil
import signal
import sys
import tempfile
import traceback
from importlib import metadata
from pathlib import Path

from search.cluster.frames import FrameWriter
from search.cluster.order import GIVEN, ON_HEAD, RETURNED, SWEEP, Order

RECEIVED = "received"  # in distune's home: sweep files and their spaces, by the sweep's name
REFUSED = 2


def run_order() -> int:
    """Run the order in this folder, and say everything that comes of it in frames on standard output.

    Returns:
        The command's exit status.
    """
    job = Path.cwd()
    order = Order.read(job)
    frames = FrameWriter(sys.stdout.fileno())
    sys.stdout, sys.stderr = frames.stream("out"), frames.stream("err")
    os.environ[ON_HEAD] = "1"
    # Ray blocks it in all that it starts, and Tune is ended by it.
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    # Not in the job's own folder, which Ray takes away, and which jobs of the same content share.
    with tempfile.TemporaryDirectory(prefix="distune-") as folder:
        os.chdir(folder)
        try:
            status = _command(order, job)
        except SystemExit as ended:
            status = ended.code if isinstance(ended.code, int) else int(ended.code is not None)
        except BaseException:
            # Whatever it was, it is told where the answer is awaited.
            traceback.print_exc()
            status = 1
        sys.stdout.flush()
        sys.stderr.flush()
        frames.send(Path(folder) / RETURNED)
        os.chdir("/")
    frames.write("exit", status=status)
    return status


def _command(order: Order, job: Path) -> int:
    if told := _unfit(order.ray):
        print(f"refused: {told}", file=sys.stderr)
        return REFUSED
    try:
        from search.cli import main as cli
    except ModuleNotFoundError as error:
        print(f'refused: the head has no {error.name}; `pip install "distune[cluster]"` there', file=sys.stderr)
        return REFUSED
    Path(GIVEN).mkdir()
    for path in job.glob("*.yaml"):
        shutil.copyfile(path, Path(GIVEN) / path.name)
    for number in range(order.returned):
        Path(RETURNED, str(number)).mkdir(parents=True)
    words = [*order.words, *(_kept(job, order.sweep) if order.sweep else [])]
    sys.argv = ["distune", *words]
    cli.main()
    return 0


def _unfit(ray_version: str) -> str | None:
    """What is wrong with this Python, for a command of this cluster."""
    remedy = "put the one that Ray runs with first on the PATH that Ray is started with"
    try:
        found = metadata.version("ray")
    except metadata.PackageNotFoundError:
        return f"the head's `python`, {sys.executable}, has no Ray; {remedy}"
    if found != ray_version:
        return f"the head's `python`, {sys.executable}, has Ray {found}, its cluster {ray_version}; {remedy}"
    return None


def _kept(job: Path, sweep: str) -> list[str]:
    """The arguments of ``distune sweep``: its file, and the head's store where the file names none.

    The files are kept in distune's home: the sweep is resumed from them when this job is gone.
    """
    from search.home import open_home
    from search.tracking.settings import login_set_apart
    from spaces.documents import read_yaml

    folder = open_home().root / RECEIVED / sweep
    folder.mkdir(parents=True, exist_ok=True)
    for path in job.glob("*.yaml"):
        shutil.copyfile(path, folder / path.name)
    uri = os.environ.get("MLFLOW_TRACKING_URI")
    named = read_yaml(folder / SWEEP).get("tracking", {}).get("uri")
    store = ["--set", f"tracking.uri={login_set_apart(uri)}"] if uri and not named else []
    return [str(folder / SWEEP), *store]
