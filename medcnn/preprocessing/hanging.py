"""How a stored frontal radiograph is turned to the way radiologists hang it.

References:
    [1] DICOM PS3.3 C.7.6.1.1.1, Patient Orientation: where rows and columns run to.
"""

from dataclasses import dataclass

__all__ = ["Turn", "turn_to_hanging"]


@dataclass(frozen=True)
class Turn:
    """Quarter turns and mirrors of a picture.

    Attributes:
        is_swapped: Rows and columns change places first.
        is_mirrored: Then left and right.
        is_flipped: Then top and bottom.
    """

    is_swapped: bool = False
    is_mirrored: bool = False
    is_flipped: bool = False


def turn_to_hanging(patient_orientation: str) -> Turn:
    r"""Return what brings a frontal picture to L\F: the patient's left on the right.

    Args:
        patient_orientation: (0020,0020), such as "R\F": rows run to the right, columns
            to the feet.

    Returns:
        Nothing to do for L\F, for pictures that are not frontal, and where nothing
        says how the patient lies.

    Examples:
        >>> turn_to_hanging("R\\F")
        Turn(is_swapped=False, is_mirrored=True, is_flipped=False)
    """
    parts = [part.strip().upper()[:1] for part in patient_orientation.split("\\")]
    if len(parts) != 2:
        return Turn()
    row, column = parts
    is_swapped = row in {"H", "F"}
    if is_swapped:
        row, column = column, row
    if row not in {"L", "R"} or column not in {"H", "F"}:
        return Turn()
    return Turn(is_swapped, row == "R", column == "H")
