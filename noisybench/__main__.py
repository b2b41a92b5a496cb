"""``python -m noisybench``."""

from noisybench.cli import main

if __name__ == "__main__":
    main()
