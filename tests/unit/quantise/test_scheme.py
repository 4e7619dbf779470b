"""What llm-compressor is told to do, and that groups fit before anything is started."""

import pytest

from serin.core.errors import ConfigError
from serin.quantise.scheme import SCHEMES, SchemeName


@pytest.mark.parametrize(
    ("widths", "size"),
    [((4096, 11008), 128), ((256, 768), 128), ((4096, 960), 64), ((896, 4864), 128), ((256, 96), 32)],
)
def test_the_largest_group_that_divides_every_width_is_taken(widths: tuple[int, ...], size: int) -> None:
    found = SCHEMES["w4a16"].group_size({f"layer {width}": width for width in widths})
    assert found == size


def test_a_width_that_no_group_divides_is_named_with_what_to_do() -> None:
    with pytest.raises(ConfigError, match=r"down_proj has 1000 inputs.*w8a8-int8"):
        SCHEMES["w4a16"].group_size({"q_proj": 256, "down_proj": 1000})


@pytest.mark.parametrize("name", ["w8a8-int8", "fp8"])
def test_schemes_without_groups_take_any_width(name: SchemeName) -> None:
    assert SCHEMES[name].group_size({"down_proj": 1001}) is None


@pytest.mark.parametrize(("name", "size"), [("w8a8-int8", None), ("w4a16", 64), ("fp8", None)])
def test_the_head_is_always_left_as_it_is(name: SchemeName, size: int | None) -> None:
    scheme = SCHEMES[name]
    assert all(arguments["ignore"] == ["lm_head"] for _, arguments in scheme.recipe(size))


def test_only_fp8_looks_at_no_activations() -> None:
    assert [name for name, scheme in SCHEMES.items() if not scheme.is_calibrated] == ["fp8"]
    assert [modifier for modifier, _ in SCHEMES["fp8"].recipe(None)] == ["round"]
