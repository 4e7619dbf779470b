"""The Kubernetes objects of a stage, as pure functions of a FineTune."""

from serin.controller.jobs.names import job_name, labels_of
from serin.controller.jobs.render import render
from serin.controller.jobs.task import inputs_of

__all__ = ["inputs_of", "job_name", "labels_of", "render"]
