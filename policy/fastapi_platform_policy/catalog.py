"""All rules, in the order in which reports list them."""

from .rule import Rule
from .rules import availability, migrations, pods, selectors, serving, supply

RULES: tuple[Rule, ...] = (
    *selectors.RULES,
    *serving.RULES,
    *availability.RULES,
    *pods.RULES,
    *migrations.RULES,
    *supply.RULES,
)
