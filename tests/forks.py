"""Commands in processes of their own, without the seconds that importing torch takes in each: they are forked
from a server that has imported it and done nothing else."""
import importlib, multiprocessing, os, signal, subprocess, tempfile
from pathlib import Path

SERVER = multiprocessing.get_context("forkserver")
SERVER.set_forkserver_preload(["torch", "torch._dynamo", "rabit.training.train_commands"])


def _run(command, argv, cwd, env, folder):
    "What the process does: a command of this library on one thread, so that sums are taken in one order"
    import torch
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for number, name in enumerate((os.devnull, folder / "out", folder / "err")):
        os.dup2(os.open(name, os.O_RDWR | os.O_CREAT), number)
    os.chdir(cwd)
    os.environ.update(env)
    torch.set_num_threads(1)
    module, name = command.split(":")
    getattr(importlib.import_module(module), name)([str(a) for a in argv])


class Fork:
    "A running command, as `subprocess.Popen` would hold it"
    def __init__(self, command, *argv, cwd, **env):   # "module:function"; variables of its environment
        self.folder = tempfile.TemporaryDirectory()
        self.process = SERVER.Process(target=_run, args=(command, argv, cwd, env, Path(self.folder.name)))
        self.process.start()
        self.pid = self.process.pid

    returncode = property(lambda self: self.process.exitcode)

    def poll(self): return self.process.exitcode

    def send_signal(self, number): os.kill(self.pid, number)

    def terminate(self): self.process.terminate()

    def kill(self): self.process.kill()

    def said(self):
        "What it has written to standard output and standard error"
        paths = (Path(self.folder.name, name) for name in ("out", "err"))
        return tuple(path.read_text() if path.exists() else "" for path in paths)

    def communicate(self, timeout=None):
        "Wait for its end; what it has written"
        self.process.join(timeout)
        if self.process.exitcode is None: raise subprocess.TimeoutExpired("a command in a fork", timeout)
        return self.said()
