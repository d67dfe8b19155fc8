"""Group-sequential and adaptive designs: boundaries, power, sample size, re-estimation."""
