"""The program: runs the command line and ends it, with one sentence and an exit code where something is wrong."""

import errno
import logging
import os
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from io import TextIOWrapper
from typing import Any, NoReturn

from noisybench.ground.errors import BadUsage, NoisybenchError, Unfinished

MEND = {
    errno.ENOSPC: "make room and run the same command again",
    errno.EDQUOT: "make room and run the same command again",
    errno.EFBIG: "write to a file system that takes larger files",
    errno.ENOENT: "give the path of something that is there",
    errno.EACCES: "give a path that you may read and write",
    errno.EPERM: "give a path that you may read and write",
    errno.EROFS: "give a path that can be written to",
    errno.ENOTDIR: "a part of that path is a file; give another path",
    errno.EEXIST: "there is a file of that name; give another path",
    errno.EISDIR: "that is a folder; give a file",
    errno.ELOOP: "links there lead in a circle; give another path",
    errno.ENAMETOOLONG: "give a shorter path",
}
"""What to do about an error of the operating system."""


STDERR = 2
"""Number of the last of the standard streams."""


def main() -> NoReturn:
    """Run the command line; an error is one sentence on stderr and an exit code: 2 for bad usage, 1 for a failure."""
    _open_streams()
    _show_warnings()
    debug = "--debug" in sys.argv
    try:
        with _stoppable():
            _run(sys.argv[1:] or ["--help"])
        sys.stdout.flush()  # while an error of it can still be told
    except Unfinished as waiting:  # a shard that has done its share
        _tell(str(waiting))
        sys.exit(0)
    except NoisybenchError as error:
        if debug:
            raise
        _fail(str(error), 2 if isinstance(error, BadUsage) else 1)
    except _Stopped as stopped:
        _fail("stopped; what was finished is kept, and the same command goes on from there", 128 + stopped.number)
    except BrokenPipeError:  # whoever read us has gone
        _let_go_of_output()
        sys.exit(1)
    except OSError as error:
        if debug:
            raise
        _fail(_system(error), 1)
    except Exception as error:
        if debug:
            raise
        _fail(f"{type(error).__name__}: {error}; this is not expected, 'noisybench --debug …' shows where", 1)
    sys.exit(0)


def _run(arguments: Sequence[str]) -> None:
    """Run a command line; what takes long to import is imported here, where Ctrl-C is already heard."""
    import typer

    from noisybench.cli.app import app

    # What Typer raises for a command line that cannot be read: a class of click, or of its own in later versions.
    usage_error: type[Exception] = typer.BadParameter.__bases__[0]
    with suppress(FileNotFoundError):  # the working folder was deleted
        # So that package.module:function finds the user's own files; last, so that none of them stands in for another.
        sys.path.append(os.getcwd())  # noqa: PTH109 - Path.cwd() is the same
    _check_text(arguments)
    try:
        app(arguments, prog_name="noisybench", standalone_mode=False)
    except usage_error as error:
        _fail(_usage(error), 2)


def _open_streams() -> None:
    """Have a standard input, output and error, whatever the program was started with, that take any character.

    A file that was opened while one of them is closed would get its number, and what is printed would go there.
    """
    while (number := os.open(os.devnull, os.O_RDWR)) <= STDERR:
        pass
    os.close(number)
    sys.stdout = sys.stdout or open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115, PTH123 - open to the end
    sys.stderr = sys.stderr or open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115, PTH123
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")


class _Shown(logging.Handler):
    """Prints what the package logs as one line of stderr, in which names of strangers' files steer no terminal."""

    def emit(self, record: logging.LogRecord) -> None:
        import typer

        from noisybench.ground.text import one_line

        typer.echo(f"{record.levelname.lower()}: {one_line(record.getMessage())}", err=True)


def _show_warnings() -> None:
    """Have warnings of the package shown, also where this process has run the program before."""
    log = logging.getLogger("noisybench")
    if not any(isinstance(handler, _Shown) for handler in log.handlers):
        log.addHandler(_Shown(logging.WARNING))


def _check_text(arguments: Sequence[str]) -> None:
    """Refuse bytes that are no text: Python keeps them as halves of characters, which no file of ours can hold."""
    for text in arguments:
        if any("\ud800" <= character <= "\udfff" for character in text):
            msg = f"{text!r} is no text in UTF-8; rename the file or folder"
            raise BadUsage(msg)


class _Stopped(BaseException):
    """Somebody stopped the program. No KeyboardInterrupt, which Typer would turn into a bare exit."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


@contextmanager
def _stoppable() -> Iterator[None]:
    """Ctrl-C and a polite kill raise ``_Stopped``, so that what is half done is put away."""

    def stop(number: int, frame: object) -> NoReturn:
        del frame
        raise _Stopped(number)

    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        for number, handler in before.items():
            if handler is not signal.SIG_IGN:  # as a shell sets it for what it starts in the background
                signal.signal(number, stop)
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler or signal.SIG_DFL)


def _fail(message: str, code: int) -> NoReturn:
    _tell(f"error: {message}")
    _let_go_of_output()
    sys.exit(code)


def _tell(message: str) -> None:
    import typer

    from noisybench.ground.text import one_line

    typer.echo(one_line(message), err=True)


def _let_go_of_output() -> None:
    """Python flushes once more when it ends, and would complain of what was told already: give it somewhere to."""
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _usage(error: Any) -> str:  # noqa: ANN401 - what Typer raises, by any of its names
    message = str(error.format_message()).rstrip(".") or "a command is missing"
    from noisybench.cli.app import app

    if getattr(error, "ctx", None):
        command = error.ctx.command_path
    else:  # not every such error knows its subcommand
        known = {info.name or info.callback.__name__ for info in app.registered_commands if info.callback}
        command = " ".join(["noisybench", *[word for word in sys.argv[1:] if word in known][:1]])
    return f"{message[:1].lower()}{message[1:]} ('{command} --help' shows what can be said)"


def _system(error: OSError) -> str:
    """The sentence for what the operating system refused; Arrow has words of its own for it."""
    reason = os.strerror(error.errno) if error.errno else str(error)
    mend = MEND.get(error.errno or 0)
    return (f"{error.filename}: {reason}" if error.filename else reason) + (f"; {mend}" if mend else "")


if __name__ == "__main__":
    main()
