"""The files that a person has named: all are opened first, then read one by one; one that is none stops no other."""

from collections.abc import Callable, Iterator, Sequence
from io import BufferedReader
from pathlib import Path
from types import TracebackType
from typing import Self

from ibkr_tools import files
from ibkr_tools.entrypoint import print_stderr
from ibkr_tools.errors import ConfigError, DataError, IbkrError, UsageError
from ibkr_tools.flex.statement_file import StatementFile, read_statement_file
from ibkr_tools.flex.statement_xml import MAX_STATEMENT_BYTES

_SUFFIXES = (".xml", ".xml.gz")

_MAX_FILES = 500
"""So many may be open at once: what most systems allow a process is twice that."""


class OpenFiles:
    """Files that are open while the block lasts.

    Root opens what only root may read, becomes another user, and then reads what comes from outside.

    Raises:
        UsageError: one cannot be opened, or there are too many, or none.
    """

    def __init__(self, paths: Sequence[Path]) -> None:
        found = [file for path in paths for file in _expand(path)]
        if not found:
            raise UsageError(f"no {' or '.join(_SUFFIXES)} file in {', '.join(map(str, paths))}")
        if len(found) > _MAX_FILES:
            raise UsageError(f"{len(found)} files at once; {_MAX_FILES} are possible", hint="Name some of them.")
        self._files: list[tuple[str, BufferedReader]] = []
        self._refused: list[IbkrError] = []
        try:
            for path in found:
                self._files.append((str(path), _open(path)))
        except UsageError:
            self._close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._close()

    def _close(self) -> None:
        for _, file in self._files:
            file.close()

    @property
    def count(self) -> int:
        """Returns how many files there are."""
        return len(self._files)

    def read_all(self, require: Callable[[StatementFile], None] | None = None) -> Iterator[tuple[str, StatementFile]]:
        """Yields each file with its name; says on standard error which are none, and goes on.

        Args:
            require: raises ConfigError for one that is not wanted.
        """
        for name, file in self._files:
            try:
                read = read_statement_file(file)
                if require is not None:
                    require(read)
            except (ConfigError, DataError) as error:
                self._refuse(name, error)
            except OSError as error:
                self._refuse(name, DataError(f"{error.strerror}"))
            else:
                yield name, read

    def _refuse(self, name: str, error: IbkrError) -> None:
        self._refused.append(error)
        error.message = f"{name}: {error.message}"
        if self.count > 1:
            print_stderr(f"error: {error.message}")
            if error.hint:
                print_stderr(f"hint: {error.hint}")

    def require_all_read(self) -> None:
        """Checks that no file was refused.

        Raises:
            ConfigError, DataError: some were; with one file alone, its own error.
        """
        if not self._refused:
            return
        if self.count == 1:
            raise self._refused[0]
        raise DataError(f"{len(self._refused)} of {self.count} files were refused; see above")


def _expand(path: Path) -> list[Path]:
    """Returns a file as it is, and of a folder what may be statements, in the order of the names."""
    try:
        if not path.is_dir():
            return [path]
        return sorted(entry for entry in path.iterdir() if entry.name.lower().endswith(_SUFFIXES))
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror}") from error


def _open(path: Path) -> BufferedReader:
    try:
        return BufferedReader(files.open_user_file(path, MAX_STATEMENT_BYTES))
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror}") from error
