"""The user's side of runs on a cluster: submit, follow, read logs, bring outputs back.

One rule: what it shows is what the cluster or storage says.
"""
