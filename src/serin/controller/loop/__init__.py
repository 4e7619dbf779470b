"""The loop around ``plan``: watch, observe, plan, act. One rule: whatever is lost (an event, an answer, the process), the
next look at the cluster makes good, since nothing is remembered that is not in the API server or in storage."""
