"""Bodies of requests and events of the assistant, version 1.

Owns what clients may send and may rely on. Deliberately has no role but the two sides of a conversation: what the model
is told about itself is ours.
"""

from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

CONVERSATION_MAX_CHARACTERS = 32_000
"""All messages together: what a model reads costs money and time."""


class Message(BaseModel):
    """What one side said."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, use_attribute_docstrings=True)

    role: Literal["assistant", "user"]
    """Who said it."""
    content: Annotated[str, Field(min_length=1, max_length=8000)]
    """What was said."""


class ReplyCreate(BaseModel):
    """What a client sends to get a reply."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        json_schema_extra={"examples": [{"messages": [{"role": "user", "content": "Where is my order?"}]}]},
        strict=True,
        use_attribute_docstrings=True,
    )

    messages: Annotated[list[Message], Field(min_length=1, max_length=50)]
    """The conversation so far, the oldest first; the user has the last word. At most 32,000 characters in all."""

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.messages[-1].role != "user":
            raise ValueError("want a message of the user at the end")
        if sum(len(message.content) for message in self.messages) > CONVERSATION_MAX_CHARACTERS:
            raise ValueError(f"want at most {CONVERSATION_MAX_CHARACTERS} characters in all")
        return self


class Delta(BaseModel):
    """Data of the event `delta`: the next piece of the reply."""

    model_config = ConfigDict(frozen=True, strict=True, use_attribute_docstrings=True)

    text: str
    """To be put behind the text so far."""


class Done(BaseModel):
    """Data of the event `done`: the reply has ended by itself."""

    model_config = ConfigDict(frozen=True, strict=True, use_attribute_docstrings=True)

    reason: Literal["complete", "length"]
    """`length` where the model was stopped at its longest reply."""
