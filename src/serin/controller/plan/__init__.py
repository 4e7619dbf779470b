"""What is to be done about one FineTune: a pure function of the object, of what was seen, and of the time."""

from serin.controller.plan.plan import Plan, plan

__all__ = ["Plan", "plan"]
