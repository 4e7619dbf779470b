"""What went wrong, in words: from what Kubernetes and Kueue report to a reason and a sentence."""

from serin.controller.reasons.cause import Cause
from serin.controller.reasons.jobs import failure_of
from serin.controller.reasons.pods import DISRUPTIONS, ended_by, last_words, waits_for

__all__ = ["DISRUPTIONS", "Cause", "ended_by", "failure_of", "last_words", "waits_for"]
