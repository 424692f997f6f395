"""One Predict request from its message to the response: inputs checked, signature run, outputs written."""
