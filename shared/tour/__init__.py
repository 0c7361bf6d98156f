"""What the tour notebook imports: its figures, timings and the checks of its exercises."""
