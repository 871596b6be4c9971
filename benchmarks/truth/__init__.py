"""Ask every reader that is installed about files of which the truth is known."""
