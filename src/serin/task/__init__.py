"""What a Job's pod runs: one stage, in a process of its own, between fetching what goes in and storing what comes out.

Nothing here decides what a stage does, and no stage is imported: a task is ``serin train`` (or merge, evaluate, publish) in a
working folder, with its log, progress and signs of life copied to storage while it runs, so that nothing dies with the pod.
"""
