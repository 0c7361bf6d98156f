"""Problems, the one evaluation loop, its records, and the statistics, flags and plots."""
