"""What may a caller send, and what comes back?

Text is free of control characters that PostgreSQL cannot keep, ids and numbers fit its four-byte integers: what is
valid here is valid on both databases.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints

MAX_INT = 2**31 - 1


def _storable(text: str) -> str:
    if "\x00" in text:
        raise ValueError("text may not contain a NUL character")
    return text


def _line(max_length: int) -> object:
    return StringConstraints(strip_whitespace=True, min_length=1, max_length=max_length)


Storable = AfterValidator(_storable)
Id = Annotated[int, Field(ge=1, le=MAX_INT)]
Count = Annotated[int, Field(ge=0, le=1_000_000)]
Name = Annotated[str, _line(100), Storable]
Title = Annotated[str, _line(200), Storable]
LongTitle = Annotated[str, _line(255), Storable]
TaskId = Annotated[str, _line(50), Storable]
LongText = Annotated[str, StringConstraints(max_length=100_000), Storable]
Rating = Annotated[float, Field(ge=0.5, le=5.0, allow_inf_nan=False)]
Priority = Literal["HIGH", "MEDIUM", "LOW"]
TaskStatus = Literal["pending", "in_progress", "blocked", "in_review", "done"]


class Sent(BaseModel):
    """What comes in; unknown fields are refused, so that a misspelt one is not lost in silence."""

    model_config = ConfigDict(extra="forbid")


class Shown(BaseModel):
    """What goes out, read from a row."""

    model_config = ConfigDict(from_attributes=True)


class NewUser(Sent):
    """A user to be made."""

    name: Name


class UserShown(Shown):
    """A user."""

    id: int
    name: str
    created_at: AwareDatetime
    updated_at: AwareDatetime


class NewThread(Sent):
    """A thread to be added at the end of its user's queue; without `user_id` the first user's."""

    name: Title
    publisher: Name | None = None
    current_volume: Count | None = None
    current_issue: Count | None = None
    user_id: Id | None = None


class ThreadChange(Sent):
    """Fields of a thread to be changed; those left out stay."""

    name: Title = ""
    publisher: Name | None = None
    current_volume: Count | None = None
    current_issue: Count | None = None


class ThreadShown(Shown):
    """A thread; `queue_position` counts from 1, empty for a completed one."""

    id: int
    user_id: int
    name: str
    publisher: str | None
    current_volume: int | None
    current_issue: int | None
    dice_value: int
    last_rating: float | None
    last_review_at: AwareDatetime | None
    queue_position: int | None
    status: str
    created_at: AwareDatetime
    updated_at: AwareDatetime


class NewSession(Sent):
    """A sitting with a thread chosen by hand."""

    thread_id: Id


class EventShown(Shown):
    """One line of a session's log."""

    id: int
    event_type: str
    issue: int | None
    rating: float | None
    timestamp: AwareDatetime


class SessionShown(Shown):
    """A sitting; `dice_roll` is empty where the thread was chosen by hand."""

    id: int
    thread_id: int | None
    started_at: AwareDatetime
    ended_at: AwareDatetime | None
    status: str
    dice_roll: int | None
    completed: bool
    skipped: bool
    read: bool


class SessionDetail(SessionShown):
    """A sitting with its log."""

    events: list[EventShown]


class NewRoll(Sent):
    """For whom to roll, and with which die if not the one in the hand."""

    user_id: Id | None = None
    die: Literal[4, 6, 8, 10, 12, 20] | None = None


class RollShown(BaseModel):
    """What the die gave: the thread at place `result` of the queue, and the session opened for it."""

    session_id: int
    thread_id: int
    name: str
    die_size: int
    result: int


class NewRating(Sent):
    """How good the issues just read were; `finished` when the thread came to its end."""

    rating: Rating
    issues_read: Annotated[int, Field(ge=1, le=1000)] = 1
    finished: bool = False
    user_id: Id | None = None


class Whose(Sent):
    """Whose open session is meant; without `user_id` the first user's."""

    user_id: Id | None = None


class NewPlace(Sent):
    """A place in the queue, from 1; beyond its end means the end."""

    new_position: Annotated[int, Field(ge=1, le=MAX_INT)]


class DieShown(BaseModel):
    """The die in a user's hand."""

    user_id: int
    die_size: int


class NewTask(Sent):
    """A task to be put on the board."""

    task_id: TaskId
    title: LongTitle
    description: LongText | None = None
    priority: Priority = "MEDIUM"
    dependencies: Annotated[str, StringConstraints(max_length=500), Storable] | None = None
    estimated_effort: TaskId | None = None
    instructions: LongText | None = None


class TaskShown(Shown):
    """A task with all of its eighteen columns."""

    id: int
    task_id: str
    title: str
    description: str | None
    priority: str
    status: str
    dependencies: str | None
    assigned_agent: str | None
    worktree: str | None
    status_notes: str | None
    estimated_effort: str | None
    completed: bool
    blocked_reason: str | None
    blocked_by: str | None
    last_heartbeat: AwareDatetime | None
    instructions: str | None
    created_at: AwareDatetime
    updated_at: AwareDatetime


class Claim(Sent):
    """Who takes a task, and where they work on it."""

    agent_name: Name
    worktree: LongTitle | None = None


class Agent(Sent):
    """Who speaks."""

    agent_name: Name


class Notes(Sent):
    """A line to append to a task's notes."""

    notes: Annotated[str, _line(10_000), Storable]


class StatusChange(Sent):
    """A task's new status; why and by what it is blocked counts only for `blocked`."""

    status: TaskStatus
    blocked_reason: LongText | None = None
    blocked_by: TaskId | None = None


class FieldError(BaseModel):
    """What is wrong with one field; `type` is pydantic's name for it."""

    field: str
    message: str
    type: str


class NotValid(BaseModel):
    """The answer to what is not valid (422)."""

    detail: str
    errors: list[FieldError]


class Health(BaseModel):
    """Whether the process lives."""

    status: str


class Readiness(BaseModel):
    """Whether requests can be served now; `reason` says why not."""

    status: Literal["ready", "not ready"]
    reason: str | None = None
    revision: str | None = None
    head: str | None = None
