"""The fitted network in the form that is served: folded, calibrated, in float32 or bfloat16."""
