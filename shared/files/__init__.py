"""JSON files, read and checked: every fault names its file, its entry and what was expected."""
