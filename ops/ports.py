"""What do we ask of the world?

Each Protocol is one thing an action may need; adapters fulfil it with a real tool, `tests/fakes.py` with
memory. The contract that every implementation keeps is in the docstrings here and is checked by one suite
each under `tests/contracts/`.

All times are aware UTC; sizes are bytes; durations are seconds. Every method may raise the `OpsError` leaves
that its docstring names and nothing else that a user could act on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import IO, TYPE_CHECKING, Literal, Protocol

if TYPE_CHECKING:  # only names: a task that asks little of the world imports little
    from ops.model.change import Change
    from ops.model.compose.project import Service, Stack
    from ops.model.database import DatabaseCopy, DatabaseFacts, Inspection, Role, ServerOffers, TableSummary
    from ops.model.endpoint import Endpoint
    from ops.model.engine import EngineInfo, EngineName, LogLine, ServiceStatus, StackState
    from ops.model.job import Job, JobResult
    from ops.model.manifest import ArchiveFormat, Codec, Manifest
    from ops.model.revision import History, Outlook, StepSql
    from ops.model.run_history import History as RunHistory
    from ops.model.run_history import Notice, NoticeKind, Run
    from ops.model.secret import Secret
    from ops.model.stack_plan import Step
    from ops.model.transfer.fault import Fix
    from ops.model.transfer.plan import Examination, LoadedTable, PartLines
    from ops.model.transfer.rules import Rules
    from ops.model.transfer.schema import Pair, SourceTable, Table
    from ops.model.transfer.survey import Survey


class Clock(Protocol):
    """Time, handed in."""

    def now(self) -> datetime:
        """The current time, aware UTC."""

    def monotonic(self) -> float:
        """Seconds since an arbitrary start; never goes back."""

    def sleep(self, seconds: float) -> None:
        """Wait; a fake returns at once and moves its own time."""


class Reporter(Protocol):
    """Where progress goes (stderr); never the result."""

    def note(self, text: str) -> None:
        """One line a person should see."""

    def warn(self, text: str) -> None:
        """One line a person must see; the work goes on."""

    def progress(self, step: str, done: int, total: int | None, unit: str = "bytes") -> None:
        """How far `step` is; may be called thousands of times a second, an implementation throttles."""

    def finished(self, event: str, **fields: object) -> None:
        """One log event per finished unit of work: dotted past tense, fields with units in their names."""


@dataclass(frozen=True, slots=True)
class ToolResult:
    """How a tool ended: its exit code (128+n for signal n) and the end of what it wrote to stderr."""

    exit_code: int
    stderr: str


class ToolRunner(Protocol):
    """PostgreSQL's client programs of the server's major, run next to the server.

    A program never outlives us: it runs under a wrapper whose stdin is a dead man's pipe.
    """

    def run(
        self,
        argv: Sequence[str],
        *,
        on_stdout: Callable[[bytes], None] | None = None,
        password: Secret | None = None,
        environment: Mapping[str, str] | None = None,
        idle_timeout_s: float | None = None,
        keeps_on: Callable[[], bool] | None = None,
    ) -> ToolResult:
        """Run one program to its end.

        Args:
            argv: program name (`pg_dump`; found by the implementation) and arguments, without secrets.
            on_stdout: receives stdout in order, in blocks of any size. What it raises ends the program and
                is raised here.
            password: becomes PGPASSWORD of the program, never an argument.
            environment: further variables, without secrets.
            idle_timeout_s: end the program when it wrote no byte of stdout or stderr for so long.
            keeps_on: asked about once a second while the program writes nothing; where it says no, the program is
                ended. Not together with `idle_timeout_s`.

        Raises:
            EngineUnreachable, UnknownService: the program could not be started or the stream was cut;
                a cut stream is never a normal end.
            DeadlinePassed: idle for too long, or told to end by `keeps_on`.
        """

    def place(self, path: Path) -> AbstractContextManager[str]:
        """Make a local file readable for the programs; gives its path as they see it, and removes what it made.

        The bytes that arrived are compared with the file by SHA-256.
        Raises: ArchiveUnwritable (no room), EngineUnreachable.
        """

    def place_stream(self, blocks: Iterator[bytes], size_bytes: int) -> AbstractContextManager[str]:
        """Make bytes readable for one program, once and from start to end, without a file of them: through a FIFO.

        Args:
            blocks: the bytes; what giving them raises ends the stream early and is raised when the context ends.
            size_bytes: how many there are.

        Raises: ArchiveUnwritable (no FIFO can be made there), EngineUnreachable.
        """

    def connection_arguments(self, database: str) -> tuple[str, ...]:
        """`--host`, `--port`, `--username`, `--dbname` as these programs must be given them."""

    def server_password(self) -> Secret | None:
        """The password to hand to `run`, None where the programs need none."""

    def codecs(self) -> frozenset[str]:
        """What pg_dump and pg_restore here can compress with: a subset of {"none", "gzip", "lz4", "zstd"}."""

    def version(self) -> str:
        """pg_dump's version, such as `17.11`."""

    def reap(self) -> tuple[str, ...]:
        """End programs and remove placed files that a killed run of ours left behind; returns what was found."""


class Engine(Protocol):
    """Where a stack's services run."""

    @property
    def name(self) -> EngineName:
        """Which kind of engine; known without asking it."""

    def info(self) -> EngineInfo:
        """Ask the engine who it is. Raises: EngineUnreachable."""

    def left_out(self, stack: Stack) -> Mapping[str, str]:
        """Services that have no process on this engine -> the reason."""

    def observe(self, stack: Stack) -> StackState:
        """What exists of the stack now, orphans included. Raises: EngineUnreachable."""

    def status(self, stack: Stack, service: str) -> ServiceStatus:
        """One service now. Raises: EngineUnreachable, UnknownService (not in the stack)."""

    def preflight(self, steps: Sequence[Step], stack: Stack) -> None:
        """Refuse a whole plan before its first step, where a later one could not be carried out; changes nothing.

        Raises: PortTaken (with its owner), ConfigurationError (a bind's source is missing), Refused (a name that
            belongs to somebody else), EngineUnreachable.
        """

    def apply(self, step: Step, stack: Stack, report: Reporter) -> None:
        """Carry out one step of a plan; doing it twice is harmless.

        Raises: EngineUnreachable, PortTaken, BuildFailed, ConfigurationError, ServiceUnhealthy.
        """

    def logs(
        self,
        stack: Stack,
        services: Sequence[str],
        *,
        follow: bool = False,
        tail: int | None = None,
        since: datetime | None = None,
    ) -> Iterator[LogLine]:
        """What services printed, oldest first for each service; ends by itself unless `follow`."""

    def execute(
        self,
        stack: Stack,
        service: str,
        argv: Sequence[str],
        *,
        stdin: IO[bytes] | None = None,
        stdout: IO[bytes] | None = None,
        stderr: IO[bytes] | None = None,
        environment: Mapping[str, str] | None = None,
        user: str | None = None,
        interactive: bool = False,
    ) -> int:
        """Run a program in a running service with real streams; returns its exit code (128+n for a signal).

        `interactive` gives it our terminal. Raises: UnknownService (absent or not running), EngineUnreachable.
        """

    def run_once(
        self,
        stack: Stack,
        service: Service,
        argv: Sequence[str],
        *,
        stdin: IO[bytes] | None = None,
        stdout: IO[bytes] | None = None,
        stderr: IO[bytes] | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> int:
        """Run a program in a new one-off container of the service's image (or as a process), removed at its end."""

    def build(self, stack: Stack, services: Sequence[str], *, no_cache: bool, report: Reporter) -> Mapping[str, str]:
        """Build images; service -> image id. Raises: BuildFailed."""

    def pull(self, stack: Stack, services: Sequence[str], *, report: Reporter) -> Mapping[str, str]:
        """Pull images; service -> image id. Raises: BuildFailed."""

    def database_endpoint(self, stack: Stack, service: str) -> Endpoint:
        """How this Python process reaches the database service now.

        Raises: UnknownService (not running), EngineUnreachable (no route to it).
        """

    def tools(self, stack: Stack, service: str) -> ToolRunner:
        """PostgreSQL's programs next to that database service."""


class Lock(Protocol):
    """One change of a stack at a time."""

    def acquire(self, what: str, *, wait_s: float = 0.0) -> AbstractContextManager[None]:
        """Hold the lock while the context lasts; dies with the process.

        Raises: LockHeld, naming who holds it, for what and since when, once `wait_s` have passed.
        """


@dataclass(frozen=True, slots=True)
class Dump:
    """What a finished dump was: all of it read in the dump's own snapshot."""

    facts: DatabaseFacts
    tables: tuple[TableSummary, ...]
    revisions: tuple[str, ...]
    tool_version: str
    format: ArchiveFormat
    codec: Codec
    dump_s: float
    fingerprint_s: float


@dataclass(frozen=True, slots=True)
class LoadSource:
    """An archive on local disk to be loaded.

    `format` tells how: `custom`, `directory` and `tar` by pg_restore, `plain` by psql, `sqlite` by SQLite.
    `compression` is what wraps the whole file (`.sql.gz`), not what is inside a custom archive.
    """

    path: Path
    format: Literal["custom", "directory", "tar", "plain", "sqlite"]
    compression: Literal["none", "gzip", "zstd"] = "none"
    is_foreign: bool = False
    """Not one of our backups: load it as a role that owns only the scratch database."""
    stream: Callable[[], Iterator[bytes]] | None = None
    """Gives the archive's plain bytes where the file at `path` is encrypted; they are never written to our disk."""
    stream_bytes: int = 0
    """How many bytes `stream` gives."""
    loaded_bytes: int = 0
    """About how large the database will be once it is loaded, for the time left; 0 where nobody knows."""


class Database(Protocol):
    """The stack's database server, seen from the live database.

    `name` arguments choose a database beside the live one; None is the live one. SQLite's databases are files:
    names of copies there are file names in the live file's folder.
    """

    def facts(self, name: str | None = None) -> DatabaseFacts:
        """What surrounds the rows. Raises: DatabaseRefused, EngineUnreachable."""

    def tables(self, name: str | None = None) -> tuple[TableSummary, ...]:
        """Counts and checksums of every ordinary table, in one snapshot, sorted by name."""

    def revisions(self, name: str | None = None) -> tuple[str, ...]:
        """The rows of Alembic's version table; empty where there is no such table.

        It is `alembic_version`, or where env.py calls it otherwise the one table that has its form.
        """

    def version_tables(self) -> tuple[str, ...]:
        """The live database's tables that only Alembic writes to, named as `tables` does."""

    def exists(self, name: str | None = None) -> bool:
        """Whether the database is there; False for a live one that somebody dropped. Raises as `facts` does."""

    def offers(self) -> ServerOffers:
        """What the server and its tools can take: version, extensions that can be installed, codecs."""

    def inspect(self, source: LoadSource, report: Reporter) -> Inspection:
        """Read a foreign file through to its end without loading anything.

        Raises: ArchiveCorrupt (does not decode, cut short). What must not be loaded is in `refusals`.
        """

    def dump(
        self, write: Callable[[bytes], None], *, report: Reporter, lock_wait_s: float, idle_timeout_s: float
    ) -> Dump:
        """Stream an archive of the live database to `write`.

        Raises: DumpFailed (tool, stream or lock trouble; the blocking backend named), DatabaseRefused.
        """

    def decode(self, archive: Path) -> None:
        """Read an archive through to its end with the server's own tools. Raises: ArchiveCorrupt."""

    def restore_by_hand(self, archive_name: str) -> str:
        """The shell line that restores an archive of ours without us."""

    def create_copy(self, copy: DatabaseCopy, like: DatabaseFacts) -> None:
        """Make an empty database beside the live one, with its encoding and locale, owned by the live owner."""

    def ensure_roles(self, roles: Sequence[Role]) -> tuple[str, ...]:
        """Make the roles that the server lacks as NOLOGIN roles without rights; returns the names of those made."""

    def load(self, name: str, source: LoadSource, *, jobs: int, report: Reporter) -> None:
        """Load all of an archive into an empty copy, stopping at the first error. Raises: LoadFailed."""

    def carry_over(self, name: str, facts: DatabaseFacts) -> tuple[str, ...]:
        """Put database settings, grants and connection limit on a copy; returns what could not be (with why)."""

    def analyze(self, name: str) -> None:
        """Refresh the planner's statistics of a copy."""

    def integrity_problems(self, name: str) -> tuple[str, ...]:
        """Sequences behind their columns, invalid indexes, orphans: one sentence each."""

    def invalid_indexes(self) -> tuple[str, ...]:
        """The live database's indexes that a concurrent build left when it failed, as SQL writes their names."""

    def drop_invalid_index(self, name: str, *, lock_timeout_s: float) -> bool:
        """Drop one of `invalid_indexes` without blocking anybody; False where it is none of them any more.

        Raises: DeadlinePassed (somebody holds it for longer than `lock_timeout_s`).
        """

    def swap(self, copy: str, kept: DatabaseCopy) -> float:
        """Make `copy` the live database and keep the old one as `kept`; returns the seconds without a live one.

        One transaction: a failure or a kill leaves the live database as it was. Raises: RestoreRefused.
        """

    def schema_blockers(self, schema: str) -> tuple[str, ...]:
        """Why a new schema of that name cannot be made in the live database, one sentence each."""

    def copy_tables(self, copy: str, tables: Sequence[TableSummary], schema: str) -> None:
        """Put tables of a copy into a new schema of the live database, theirs alone; the copy is changed by it.

        Args:
            copy: a scratch copy.
            tables: which, and what they hold.
            schema: its name.

        One transaction: a failure or a kill leaves nothing in the live database. Foreign keys, triggers, rules and
        grants are left out; everything belongs to the live owner. Raises: LoadFailed, DataDiffers, RestoreRefused.
        """

    def describe_copy(self, copy: DatabaseCopy) -> None:
        """Replace what the copy of that name says of itself (its role, until when it is kept)."""

    def copies(self) -> tuple[DatabaseCopy, ...]:
        """The databases beside the live one that we made, oldest first."""

    def drop_copy(self, name: str) -> None:
        """Remove a copy; refuses (Refused) the live database and whatever we did not make."""

    def swap_blockers(self) -> tuple[str, ...]:
        """What would keep a swap from being safe: replication slots, subscriptions, prepared transactions."""

    def free_space_bytes(self) -> int | None:
        """Room for a second copy where the server keeps its data; None where it cannot be told."""

    def reap(self) -> tuple[str, ...]:
        """End programs and remove files next to the server that killed runs of ours left; returns what was found.

        What belongs to a run that lives is not touched. Raises: EngineUnreachable.
        """

    def exclusive(self, what: str, *, wait_s: float = 0.0) -> AbstractContextManager[None]:
        """The advisory lock of this stack and database across hosts. Raises: LockHeld."""


class Migrator(Protocol):
    """The schema history and the tool that applies it (Alembic)."""

    def history(self) -> History:
        """All revisions and heads. Raises: ConfigurationError, RevisionConflict (one names a missing one)."""

    def outlook(self, current: Sequence[str]) -> Outlook:
        """The history, and the SQL of each revision that a database at `current` lacks, in one run of the tool."""

    def downgrade_sql(self, revisions: Sequence[str]) -> Mapping[str, StepSql]:
        """The SQL of each revision's downgrade by itself."""

    def sql(self, start: str | None, target: str) -> str:
        """The SQL that leads from `start` (None: empty) to `target`, as PostgreSQL or SQLite would be sent it."""

    def current(self, database: str | None = None) -> tuple[str, ...]:
        """What the version table holds, wherever env.py keeps that table; sorted."""

    def upgrade(
        self, target: str, *, database: str | None = None, lock_timeout_s: float, statement_timeout_s: float
    ) -> None:
        """Apply up to and including one revision. Raises: UpgradeFailed, DeadlinePassed (lock timeout)."""

    def upgrade_each(
        self,
        targets: Sequence[str],
        *,
        database: str | None = None,
        lock_timeout_s: float,
        statement_timeout_s: float,
        on_applied: Callable[[str, float], None] | None = None,
    ) -> None:
        """Apply these revisions in order, each in its own transaction, in one run of the tool.

        `on_applied` hears each revision and its seconds once it is committed. The first failure ends the run,
        those before it stay applied. Raises as upgrade does.
        """

    def downgrade(
        self, target: str, *, database: str | None = None, lock_timeout_s: float, statement_timeout_s: float
    ) -> None:
        """Undo down to `target` (`base` for all). Raises as upgrade does, and Irreversible."""

    def drift(self, database: str | None = None) -> tuple[str, ...]:
        """Differences between the models and the database, one sentence each; empty where the history has no models."""

    def create(self, message: str, *, autogenerate: bool) -> Path:
        """Write a new revision file. Raises: RevisionConflict (several heads, database not at head)."""


class PartialArchive(Protocol):
    """An archive that is being written; not a backup before `commit`."""

    def write(self, block: bytes) -> None:
        """Append. Raises: ArchiveUnwritable."""

    def finish(self) -> tuple[int, str]:
        """Flush, read back, compare; gives (size_bytes, sha256). Raises: ArchiveUnwritable, ArchiveCorrupt."""

    @property
    def path(self) -> Path:
        """The `.partial` file."""

    def commit(self, manifest: Manifest) -> None:
        """Rename the archive into place, then write the manifest: from then on it is a backup."""

    def abort(self) -> None:
        """Remove what was written; harmless after `commit`."""


class Encryption(Protocol):
    """What wraps an archive before it reaches a disk, and unwraps it as a stream."""

    @property
    def name(self) -> Literal["age"]:
        """The format, as a manifest calls it."""

    @property
    def has_passphrase(self) -> bool:
        """Whether one passphrase both encrypts and decrypts."""

    @property
    def can_decrypt(self) -> bool:
        """Whether a key to decrypt with was given."""

    def check(self) -> None:
        """Read every key that encrypting needs. Raises: ConfigurationError (missing, unreadable, no key)."""

    def encrypted(self, write: Callable[[bytes], None]) -> AbstractContextManager[Callable[[bytes], None]]:
        """Give what takes the plain bytes; their encrypted form goes to `write`, whole once the context has ended.

        Raises: ConfigurationError, before the first byte; what `write` raises.
        """

    def decrypted(self, path: Path) -> Iterator[bytes]:
        """The plain bytes of an encrypted file; only at its end is it certain that nothing was cut off.

        Raises: ConfigurationError (no key, or none that fits), ArchiveCorrupt (damaged, cut short).
        """


class ArchiveProof(Protocol):
    """Reads an archive of ours through to its end while it streams by, without keeping it."""

    def write(self, block: bytes) -> None:
        """The next bytes. Raises: ArchiveCorrupt."""

    def finish(self) -> None:
        """There are no more. Raises: ArchiveCorrupt (cut short, or not all of what its contents list is there)."""


class Archives(Protocol):
    """The catalog of one stack's backups and the archives themselves. Files 0600, folders 0700."""

    def manifests(self) -> tuple[Manifest, ...]:
        """All backups, newest first, rebuilt from the manifests."""

    def broken(self) -> tuple[str, ...]:
        """What lies in the folder and is no backup: unreadable manifests, archives without one, partials."""

    def damaged(self) -> tuple[tuple[str, str], ...]:
        """Backups that count no longer, newest first: (id, why: manifest unreadable, archive missing or cut)."""

    def survey(self) -> tuple[tuple[Manifest, ...], tuple[tuple[str, str], ...]]:
        """What `manifests` and `damaged` say, of one reading of the folder."""

    def begin(self, backup_id: str) -> PartialArchive:
        """Start an archive. Raises: ArchiveUnwritable."""

    def find(self, backup_id: str) -> Manifest:
        """One backup. Raises: BackupNotFound, ManifestInvalid."""

    def path(self, manifest: Manifest) -> Path:
        """Where its archive lies. Raises: ArchiveCorrupt (missing)."""

    def place(self, manifest: Manifest) -> str:
        """The archive's path as text, without a look at it."""

    def check(self, manifest: Manifest, report: Reporter) -> None:
        """Read the archive again and compare size and SHA-256. Raises: ArchiveCorrupt."""

    def update(self, manifest: Manifest) -> None:
        """Replace a manifest atomically (pins, verification marks)."""

    def delete(self, manifest: Manifest) -> None:
        """Remove a backup: the manifest first, so that a kill leaves no bad backup."""

    def clean(self) -> tuple[str, ...]:
        """Remove partials and archives without a manifest that a killed run left; returns what was removed."""

    def free_space_bytes(self) -> int:
        """Room in the folder."""


class OffsiteStore(Protocol):
    """One stack's files in another place: a bucket, a second folder. Names are plain file names.

    Every method may raise OffsiteFailed: unreachable, refused, or not what it should be.
    """

    @property
    def name(self) -> str:
        """What the target is called, in manifests and after `--from`."""

    @property
    def place(self) -> str:
        """Where it is, for people."""

    def sizes(self) -> Mapping[str, int]:
        """Every whole file -> its size in bytes; an upload that is not finished is not among them."""

    def read(self, name: str) -> bytes:
        """A small file."""

    def write(self, name: str, content: bytes) -> None:
        """Write or replace a small file, all of it or nothing."""

    def upload(self, path: Path, name: str, sha256: str, report: Reporter) -> None:
        """Copy a local file there, all of it or nothing, and read it back: its size and SHA-256 must agree."""

    def blocks(self, name: str) -> Iterator[bytes]:
        """The content of a file."""

    def delete(self, name: str) -> None:
        """Remove a file; harmless where it is not there."""

    def clean(self, now: datetime) -> tuple[str, ...]:
        """Remove what uploads that were killed long ago left invisibly; returns what it was."""


class ArchiveFiles(Protocol):
    """Files that somebody names for a restore, wherever they lie."""

    def probe(self, path: Path) -> LoadSource:
        """Tell by content what a foreign file is. Raises: BackupNotFound, RestoreRefused (no dump), ArchiveCorrupt."""

    def manifest_beside(self, path: Path) -> Manifest | None:
        """The manifest of the backup whose archive or manifest `path` is; None for every other file.

        Raises: ManifestInvalid.
        """

    def digest(self, path: Path, report: Reporter) -> tuple[int, str]:
        """Read a file to its end: size in bytes and SHA-256; of a folder the size, and "". Raises: ArchiveCorrupt."""


class Throwaways(Protocol):
    """Database servers that live for one drill: never the production one, and nothing of them stays."""

    def server(self, manifest: Manifest, report: Reporter) -> AbstractContextManager[Database]:
        """Start an empty server that can take this backup; it and all its data are gone at the end.

        Databases are made on it with `create_copy`; its live one is not to be used.

        Raises: RestoreRefused (no server at hand can take it, no room), ServiceUnhealthy (it did not come up),
            EngineUnreachable.
        """

    def clean(self) -> tuple[str, ...]:
        """Remove what drills that were killed left behind; returns what was found. A living drill's is left alone.

        Raises: EngineUnreachable.
        """


class Journal(Protocol):
    """The append-only journal of changes of one stack."""

    def append(self, change: Change) -> None:
        """Write one line and flush it to disk."""

    def changes(self) -> tuple[Change, ...]:
        """All lines, oldest first; a torn last line is left out."""


class RunStore(Protocol):
    """What the scheduler remembers of one stack; every method is on disk when it returns."""

    def history(self) -> RunHistory:
        """All runs; one that was started and whose process is gone reads as `interrupted`."""

    def see(self, jobs: Sequence[str], now: datetime) -> None:
        """Remember since when each job is in the schedule."""

    def start(self, run: Run) -> None:
        """Write that a run began. Raises: LockHeld (another process runs this job)."""

    def finish(self, run: Run) -> None:
        """Replace the started run (same job, due time, attempt) by its end."""

    def tell(self, notice: Notice) -> None:
        """Write that somebody was told, or could not be."""


class Work(Protocol):
    """A run in progress."""

    def result(self) -> JobResult | None:
        """How it ended; None while it goes on."""

    def stop(self, grace_s: float) -> JobResult:
        """Ask it to unwind, end it after `grace_s`; the result it had reached if it was done already."""


class JobWorkers(Protocol):
    """What runs jobs beside the scheduler's loop."""

    def start(self, job: Job) -> Work:
        """Begin a run and return at once."""


class Notifier(Protocol):
    """Who is told of failures, recoveries, silence and the day."""

    def send(self, title: str, body: str, kind: NoticeKind) -> None:
        """Deliver to everyone. Raises: Degraded (not delivered to all), naming services without secrets."""


class DeadMansSwitch(Protocol):
    """A service outside that notices when we fall silent."""

    def ping(self, event: Literal["start", "success", "fail"], message: str = "") -> None:
        """Say that a run begins or how it ended. Raises: Degraded (no good answer)."""


class Bridge(Protocol):
    """A SQLite file and a PostgreSQL server together: what a transfer needs of both.

    `copy` is a path of our own copy of the source, which may be changed; `database` a database's name on the server.
    """

    def new_folder(self) -> Path:
        """A private folder for this run; those of runs that were killed are removed."""

    def remove_folder(self, folder: Path) -> None:
        """Remove it with all that is in it; absent is fine."""

    def copy_source(self, file: Path, copy: Path) -> None:
        """Copy a SQLite file that may be in use, and begin to look whether the copy is sound.

        The file itself is never made or changed. Raises: DatabaseRefused (absent, no right), ArchiveCorrupt (no
        database, or damaged so that it cannot be copied), DeadlinePassed.
        """

    def refuse_damage(self, copy: Path) -> None:
        """Wait until it is known whether the copy is sound; the methods below that change the copy do it themselves.

        Raises: ArchiveCorrupt.
        """

    def source_revisions(self, copy: Path) -> tuple[str, ...]:
        """What the version table of a SQLite file holds; empty where there is none."""

    def source_tables(self, copy: Path, *, is_counted: bool = True) -> tuple[SourceTable, ...]:
        """The ordinary tables of a SQLite file; `rows` is 0 unless counted."""

    def left_out(self, copy: Path) -> tuple[str, ...]:
        """What of a SQLite file is no data (views, triggers, virtual tables): one sentence each."""

    def stamp(self, copy: Path, model: Path) -> None:
        """Give the copy the version table of another file."""

    def simplify(self, copy: Path) -> None:
        """Remove triggers and views from the copy, and give each table row ids."""

    def target_tables(self, database: str) -> tuple[Table, ...]:
        """The tables of a PostgreSQL database."""

    def apply_rules(self, copy: Path, pairs: Sequence[Pair], rules: Rules) -> tuple[Fix, ...]:
        """Apply a person's rules to the copy; returns what was changed. Rows set aside are listed beside the copy."""

    def examine(self, copy: Path, pairs: Sequence[Pair], fixes: Sequence[Fix], *, is_kept: bool) -> Examination:
        """Look at every value of the copy; other forms of the same meaning are unified in it first.

        `is_kept`: the rows that a load sends are kept beside the copy. Raises: ArchiveCorrupt (the copy is damaged),
        ArchiveUnwritable, LoadFailed.
        """

    def judge(self, copy: Path, database: str, pairs: Sequence[Pair], found: Examination) -> Examination:
        """Add what only the target's server can say: checks, uncommon uniques and types; after `examine`.

        `database` has the target's tables; nothing in it is changed.

        Raises: LoadFailed, DeadlinePassed (somebody holds one of the tables).
        """

    def survey(self, copy: Path, pairs: Sequence[Pair]) -> Survey:
        """What of the copy deserves a person's eye although it is no fault; after `examine`."""

    def keep_list(self, copy: Path, place: Path) -> None:
        """Keep the list of rows that rules set aside (`apply_rules`) as this file, on disk when this returns.

        JSON lines, readable by its owner only. Raises: ArchiveUnwritable.
        """

    def drop_keys(self, database: str, pairs: Sequence[Pair]) -> object:
        """Drop the tables' keys and indexes; the result is for `make_keys`."""

    def load(
        self, copy: Path, database: str, pairs: Sequence[Pair], lines: Mapping[str, tuple[PartLines, ...]]
    ) -> tuple[LoadedTable, ...]:
        """Load and compare all tables. Raises: LoadFailed, DataDiffers, EngineUnreachable."""

    def make_keys(self, database: str, pairs: Sequence[Pair], keys: object) -> None:
        """Make keys and indexes again, as they were. Raises: LoadFailed, DataDiffers."""

    def set_sequences(self, copy: Path, database: str, pairs: Sequence[Pair]) -> Mapping[str, int]:
        """Put every sequence behind what was used; sequence -> what it gives next."""

    def row_counts(self, database: str, pairs: Sequence[Pair]) -> Mapping[str, int]:
        """How many rows each table of PostgreSQL has, by `schema.table`."""

    def total_rows(self, database: str) -> int:
        """How many rows all tables of a PostgreSQL database have."""

    def fill(self, file: Path, database: str, pairs: Sequence[Pair]) -> tuple[LoadedTable, ...]:
        """Fill an empty SQLite file from one snapshot of a database. Raises: BadSourceData, DataDiffers."""

    def refuse_place(self, file: Path) -> None:
        """Raise where no SQLite file can be made: DatabaseRefused (no such folder, no right, a folder has the name)."""

    def publish(self, partial: Path, file: Path) -> None:
        """Give a finished file its name, on disk when this returns. Raises: Refused (the name is taken)."""

    def remove_file(self, file: Path) -> None:
        """Remove a SQLite file with what SQLite keeps beside it; absent is fine."""
