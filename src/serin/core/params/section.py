"""What every section of ``params.yaml`` is built on."""

from pydantic import BaseModel, ConfigDict


class Section(BaseModel):
    """Immutable, strict about unknown names; a field's documentation stands beneath it and reaches the schema."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True, validate_default=True)
