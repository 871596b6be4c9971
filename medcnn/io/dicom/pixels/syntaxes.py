"""Which transfer syntaxes are read, and why the others are not.

References:
    [1] DICOM PS3.5 section 10 and Annex A; PS3.6 Annex A.
"""

from pathlib import Path

from pydicom.uid import (
    HTJ2K,
    JPEG2000,
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    HTJ2KLossless,
    HTJ2KLosslessRPCL,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    JPEGLossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    JPEGLSNearLossless,
    MPEGTransferSyntaxes,
    RLELossless,
)

from medcnn.errors import DecodeError

__all__ = ["JPEG_2000", "JPEG_DCT", "JPEG_LOSSLESS", "JPEG_LS", "check_syntax"]

_SPECTRAL_SELECTION = UID("1.2.840.10008.1.2.4.53")
_FULL_PROGRESSION = UID("1.2.840.10008.1.2.4.55")

NATIVE = frozenset(
    {
        DeflatedExplicitVRLittleEndian,
        ExplicitVRBigEndian,
        ExplicitVRLittleEndian,
        ImplicitVRLittleEndian,
    }
)
"""Uncompressed."""

JPEG_DCT = frozenset(
    {JPEGBaseline8Bit, JPEGExtended12Bit, _SPECTRAL_SELECTION, _FULL_PROGRESSION}
)
"""JPEG with cosine transforms, lossy, 8 or 12 bit; the last two are retired."""

JPEG_LOSSLESS = frozenset({JPEGLossless, JPEGLosslessSV1})
"""Lossless JPEG with any of its seven predictors."""

JPEG_LS = frozenset({JPEGLSLossless, JPEGLSNearLossless})
"""JPEG-LS, lossless and near-lossless."""

JPEG_2000 = frozenset(
    {JPEG2000Lossless, JPEG2000, HTJ2KLossless, HTJ2KLosslessRPCL, HTJ2K}
)
"""JPEG 2000 Part 1, and Part 15 (high throughput)."""

_READ = {RLELossless, *NATIVE, *JPEG_DCT, *JPEG_LOSSLESS, *JPEG_LS, *JPEG_2000}

# not in pydicom's dictionary
_NAMES = {
    "1.2.840.10008.1.2.4.110": "JPEG XL Lossless",
    "1.2.840.10008.1.2.4.111": "JPEG XL JPEG Recompression",
    "1.2.840.10008.1.2.4.112": "JPEG XL",
    "1.2.840.10008.1.2.8.1": "Deflated Image Frame Compression",
    "1.2.840.113619.5.2": "GE Private Implicit VR Big Endian",
}
_VIDEO = ("MPEG", "HEVC", "SMPTE")


def check_syntax(syntax: UID, path: Path | None) -> None:
    """Refuse a transfer syntax that is not read.

    Raises:
        DecodeError: With its name and what to do.
    """
    if syntax in _READ:
        return
    name = _NAMES.get(syntax, syntax.name)
    convert = "Convert it to Explicit VR Little Endian or a JPEG 2000 syntax first."
    if syntax in MPEGTransferSyntaxes or any(word in name for word in _VIDEO):
        msg = f"its transfer syntax {name} is a video, and still images are read."
        hint = "Export single frames of it as images."
    elif "JPIP" in name:
        msg = f"its transfer syntax {name} leaves the pixels on a server."
        hint = "Fetch the image together with its pixels."
    elif name == syntax and not syntax.is_private:
        msg = f"its transfer syntax {syntax} is none of DICOM's."
        hint = "Ask the sender for a conformant file."
    else:
        msg, hint = f"its transfer syntax {name} is not read.", convert
    raise DecodeError(msg, path=path, hint=hint)
