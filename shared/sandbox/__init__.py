"""Run code that a model wrote, in a process that is shut off from everything else."""
