"""Linear equations solved exactly: no steps, the exponential of the coefficients from event to event."""
