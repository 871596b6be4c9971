"""python -m medcnn."""

from medcnn.cli import main

if __name__ == "__main__":
    main()
