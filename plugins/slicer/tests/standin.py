"""A stand-in for the parts of Slicer that slicer-core lacks: Qt, CTK, module classes.

It is the tests' own, over PySide6, and finds wrong names, wiring and values in the
panel's code. It says nothing of PythonQt's conversions, nor of how Slicer's own widgets
behave: for that there is the module's self test, inside Slicer.
"""

import ctypes
import sys
import types
from typing import Annotated, get_args, get_origin, get_type_hints

import slicer
import slicer.util
from PySide6 import QtCore, QtWidgets
from PySide6.QtUiTools import QUiLoader

__all__ = ["Handle", "answers", "application", "install"]

answers = {"confirm": True, "asked": []}
"""What the user answers to questions, and what was asked."""


def application():
    """Return the one Qt application."""
    return QtWidgets.QApplication.instance() or QtWidgets.QApplication(["medcnn"])


def _keep_none():
    """Give None the reference that PySide6 6.12 takes away with each void call.

    Up to Python 3.11 a program that makes some thousand such calls ends by it.
    """
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(None))


class Handle:
    """A Qt object as PythonQt shows it: properties are values, signals text."""

    def __init__(self, wrapped):
        object.__setattr__(self, "wrapped", wrapped)

    @property
    def meta(self):
        """The class's own meta-object.

        What an object's metaObject() answers counts as its child in PySide6 6.12, and
        is lost when another object of the class, asked before it, is freed.
        """
        return type(self.wrapped).staticMetaObject

    def __getattr__(self, name):
        place = self.meta.indexOfProperty(name)
        if place >= 0:
            return self.meta.property(place).read(self.wrapped)
        found = getattr(self.wrapped, name)

        def call(*given):
            answer = found(*[getattr(each, "wrapped", each) for each in given])
            if answer is None:
                _keep_none()
            return answer

        return call

    def __setattr__(self, name, value):
        if self.meta.indexOfProperty(name) < 0:
            raise AttributeError(name)
        self.wrapped.setProperty(name, value)

    def connect(self, signal, slot):
        """Connect a signal by its C++ signature; a wrong one is an error."""
        normal = QtCore.QMetaObject.normalizedSignature(signal)
        if self.meta.indexOfSignal(normal.data().decode()) < 0:
            msg = f"{type(self.wrapped).__name__} has no signal {signal}"
            raise AttributeError(msg)
        getattr(self.wrapped, signal.split("(")[0]).connect(slot)


class qMRMLWidget(QtWidgets.QWidget):
    def setMRMLScene(self, scene):
        for child in self.findChildren(QtWidgets.QWidget):
            if hasattr(child, "take_scene"):
                child.take_scene(scene)


class qMRMLNodeComboBox(QtWidgets.QComboBox):
    nodeTypes = QtCore.Property("QStringList", lambda s: s.kinds, lambda s, v: s.of(v))
    for flag in ("addEnabled", "removeEnabled", "noneEnabled", "showChildNodeTypes"):
        locals()[flag] = QtCore.Property(bool, lambda s: False, lambda s, v: None)

    def of(self, kinds):
        self.kinds = kinds

    def take_scene(self, scene):
        self.scene = scene
        scene.AddObserver(scene.NodeAddedEvent, lambda *_: self.fill())
        self.fill()

    def fill(self):
        chosen = self.currentData()
        self.blockSignals(True)
        self.clear()
        self.addItem("None", None)
        for kind in self.kinds:
            for n in range(self.scene.GetNumberOfNodesByClass(kind)):
                node = self.scene.GetNthNodeByClass(n, kind)
                self.addItem(node.GetName(), node.GetID())
        self.setCurrentIndex(max(0, self.findData(chosen)))
        self.blockSignals(False)


class ctkCollapsibleButton(QtWidgets.QGroupBox):
    text = QtCore.Property(str, lambda s: s.title(), lambda s, v: s.setTitle(v))
    collapsed = QtCore.Property(
        bool, lambda s: getattr(s, "closed", False), lambda s, v: s.close_up(v)
    )

    def close_up(self, closed):
        self.closed = closed
        for child in self.findChildren(
            QtWidgets.QWidget, options=QtCore.Qt.FindDirectChildrenOnly
        ):
            child.setVisible(not closed)


class ctkPathLineEdit(QtWidgets.QLineEdit):
    currentPathChanged = QtCore.Signal(str)
    filters = QtCore.Property(str, lambda s: "", lambda s, v: None)
    currentPath = QtCore.Property(
        str, lambda s: s.text(), lambda s, v: s.setCurrentPath(v)
    )

    def setCurrentPath(self, path):
        self.setText(path)
        self.currentPathChanged.emit(path)


class ctkSliderWidget(QtWidgets.QDoubleSpinBox):
    decimals = QtCore.Property(
        int, lambda s: 2, lambda s, v: QtWidgets.QDoubleSpinBox.setDecimals(s, v)
    )


_CUSTOM = (
    qMRMLWidget,
    qMRMLNodeComboBox,
    ctkCollapsibleButton,
    ctkPathLineEdit,
    ctkSliderWidget,
)


def load_ui(path):
    """Load a .ui file by Qt's own loader."""
    loader = QUiLoader()
    for kind in _CUSTOM:
        loader.registerCustomWidget(kind)
    loaded = loader.load(str(path))
    assert loaded is not None, loader.errorString()
    return Handle(loaded)


def child_widgets(widget):
    """Return the named widgets below one."""
    found = widget.wrapped.findChildren(QtWidgets.QWidget)
    named = {c.objectName(): Handle(c) for c in found if c.objectName()}
    return types.SimpleNamespace(**named)


class Settings:
    kept = {}  # noqa: RUF012 - the tests' one memory

    def value(self, key):
        return self.kept.get(key)

    def setValue(self, key, value):
        self.kept[key] = value


class ModuleParent:
    """What a module is given by Slicer."""

    isEntered = True

    def __init__(self):
        self.widget = QtWidgets.QWidget()
        QtWidgets.QVBoxLayout(self.widget)

    def layout(self):
        return Handle(self.widget.layout())


class ScriptedLoadableModule:
    def __init__(self, parent):
        self.parent = parent


class ScriptedLoadableModuleWidget:
    resources = None

    def __init__(self, parent=None):
        self.parent = parent
        self.layout = parent.layout()

    def setup(self):
        pass

    def resourcePath(self, name):
        return self.resources / name


class ScriptedLoadableModuleLogic:
    def __init__(self, parent=None):
        self.moduleName = "MedCNN"

    def getParameterNode(self):
        for n in range(slicer.mrmlScene.GetNumberOfNodesByClass(_SCRIPTED)):
            node = slicer.mrmlScene.GetNthNodeByClass(n, _SCRIPTED)
            if node.GetAttribute("ModuleName") == self.moduleName:
                return node
        node = slicer.vtkMRMLScriptedModuleNode()
        node.SetSingletonTag(self.moduleName)
        node.SetAttribute("ModuleName", self.moduleName)
        return slicer.mrmlScene.AddNode(node)


_SCRIPTED = "vtkMRMLScriptedModuleNode"


class ScriptedLoadableModuleTest:
    def delayDisplay(self, words):
        print(words)

    def assertEqual(self, a, b):
        assert a == b, (a, b)

    def assertTrue(self, value):
        assert value


class WithinRange:
    def __init__(self, low, high):
        self.low, self.high = low, high

    def check(self, value):
        if not self.low <= value <= self.high:
            msg = f"{value} is not within {self.low} and {self.high}"
            raise ValueError(msg)


def parameterNodeWrapper(cls):
    """Keep annotated attributes in a real vtkMRMLScriptedModuleNode."""
    hints = get_type_hints(cls, include_extras=True)
    for name, kind in hints.items():
        setattr(cls, name, _parameter(name, kind, getattr(cls, name, None)))

    def begin(self, node):
        self.parameterNode = node

    cls.__init__ = begin
    cls.hints = hints
    cls.connectGui = _connect_gui
    cls.disconnectGui = lambda self, tag: tag.update(on=False)
    cls.AddObserver = lambda self, *given: self.parameterNode.AddObserver(*given)
    cls.RemoveObserver = lambda self, tag: self.parameterNode.RemoveObserver(tag)
    return cls


def _parameter(name, kind, default):
    is_number = get_origin(kind) is Annotated
    checks = get_args(kind)[1:] if is_number else ()

    def get(self):
        if not is_number:
            return self.parameterNode.GetNodeReference(name)
        text = self.parameterNode.GetParameter(name)
        return float(text) if text else default

    def put(self, value):
        for check in checks:
            check.check(value)
        if is_number:
            self.parameterNode.SetParameter(name, str(value))
        else:
            self.parameterNode.SetNodeReferenceID(name, value and value.GetID())

    return property(get, put)


def _connect_gui(self, ui):
    """Keep widgets with the dynamic property SlicerParameterName in step."""
    tag = {"on": True}
    connected = {}
    for handle in vars(ui).values():
        name = handle.wrapped.property("SlicerParameterName")
        if name:
            assert name in self.hints, f"{name} is no parameter"
            connected[name] = handle.wrapped
            _follow(self, name, handle.wrapped, tag)

    def show(*_):
        for name, widget in connected.items() if tag["on"] else ():
            value = getattr(self, name)
            if isinstance(widget, qMRMLNodeComboBox):
                widget.setCurrentIndex(widget.findData(value and value.GetID()))
            else:
                widget.setValue(value)

    self.parameterNode.AddObserver("ModifiedEvent", show)
    show()
    return tag


def _follow(parameters, name, widget, tag):
    """Keep a parameter in step with a widget while its tag is on."""

    def chosen(_):
        if tag["on"]:
            node = slicer.mrmlScene.GetNodeByID(widget.currentData() or "")
            setattr(parameters, name, node)

    def moved(value):
        if tag["on"]:
            setattr(parameters, name, value)

    if isinstance(widget, qMRMLNodeComboBox):
        widget.currentIndexChanged.connect(chosen)
    else:
        widget.valueChanged.connect(moved)


def install(scene):
    """Put the stand-ins where the module imports them from; return the Qt module."""
    application()
    qt = types.ModuleType("qt")
    qt.QTimer = lambda: Handle(QtCore.QTimer())
    qt.QTableWidgetItem = QtWidgets.QTableWidgetItem
    qt.QSettings = Settings
    module = types.ModuleType("slicer.ScriptedLoadableModule")
    for each in (
        ScriptedLoadableModule,
        ScriptedLoadableModuleWidget,
        ScriptedLoadableModuleLogic,
        ScriptedLoadableModuleTest,
    ):
        setattr(module, each.__name__, each)
    wrapper = types.ModuleType("slicer.parameterNodeWrapper")
    wrapper.parameterNodeWrapper, wrapper.WithinRange = (
        parameterNodeWrapper,
        WithinRange,
    )
    words = types.ModuleType("slicer.i18n")
    words.tr, words.translate = (lambda text: text), (lambda _, text: text)
    sys.modules["qt"] = qt
    for each in (module, wrapper, words):
        sys.modules[each.__name__] = each
    slicer.mrmlScene = scene
    slicer.util.loadUI = load_ui
    slicer.util.childWidgetVariables = child_widgets
    slicer.util.confirmOkCancelDisplay = _confirm
    slicer.util.startupEnvironment = lambda: None
    return qt


def _confirm(question, *_, **__):
    answers["asked"].append(question)
    return answers["confirm"]
