"""The linker: constants, the stack, functions from outside; each module is run in Node."""

from __future__ import annotations

import json
import subprocess

import pytest

from respine.engine.codegen.machine import relocatable_object
from respine.engine.codegen.target import wasm_target
from respine.engine.wasm import binary
from respine.engine.wasm.link import DATA_AT, link
from tests.engine.wasm.node import NODE, needs_node

HEAD = 'target triple = "wasm32-unknown-unknown"\n'


def linked(ir: str, *exports: str) -> bytes:
    return link(relocatable_object(HEAD + ir, wasm_target()), exports).module


def run(module: bytes, expression: str) -> object:
    assert NODE is not None
    script = f"""
      const bytes = Uint8Array.from({list(module)});
      const {{ instance: {{ exports: e }} }} = await WebAssembly.instantiate(bytes, {{ env: Math }});
      console.log(JSON.stringify({expression}));"""
    done = subprocess.run([NODE, "--input-type=module", "-"], input=script, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize("value", [0, 1, 63, 64, 127, 128, 300, 2**31 - 1, -1, -64, -65, -128, -129, -(2**31)])
def test_numbers_of_variable_length_come_back(value):
    for size in (0, 5):
        assert binary.Reader(binary.signed(value, size)).signed() == value
        if value >= 0:
            assert binary.Reader(binary.unsigned(value, size)).unsigned() == value
    assert len(binary.signed(value, 5)) == 5


@needs_node
def test_tables_of_numbers_lie_where_the_code_looks_for_them():
    ir = """
    @first = internal constant [3 x double] [double 1.5, double 2.5, double 3.5]
    @second = internal constant [2 x i32] [i32 7, i32 9]
    @where = internal global ptr getelementptr ([3 x double], ptr @first, i32 0, i32 2)
    define double @read(i32 %k) {
      %p = getelementptr [3 x double], ptr @first, i32 0, i32 %k
      %x = load double, ptr %p
      ret double %x
    }
    define i32 @count(i32 %k) {
      %p = getelementptr [2 x i32], ptr @second, i32 0, i32 %k
      %x = load volatile i32, ptr %p
      ret i32 %x
    }
    define double @last() {
      %p = load volatile ptr, ptr @where
      %x = load double, ptr %p
      ret double %x
    }"""
    module = linked(ir, "read", "count", "last")
    assert run(module, "[e.read(0), e.read(2), e.count(0), e.count(1), e.last()]") == [1.5, 3.5, 7, 9, 3.5]
    assert run(module, f"Array.from(new Uint8Array(e.memory.buffer, 0, {DATA_AT})).every((x) => x === 0)")


@needs_node
def test_the_stack_is_the_modules_own():
    ir = """
    define i32 @reversed(i32 %n, i32 %k) {
    entry:
      %room = alloca i32, i32 %n
      br label %loop
    loop:
      %i = phi i32 [0, %entry], [%next, %loop]
      %p = getelementptr i32, ptr %room, i32 %i
      %v = sub i32 %n, %i
      store volatile i32 %v, ptr %p
      %next = add i32 %i, 1
      %more = icmp slt i32 %next, %n
      br i1 %more, label %loop, label %done
    done:
      %q = getelementptr i32, ptr %room, i32 %k
      %x = load volatile i32, ptr %q
      ret i32 %x
    }"""
    assert run(linked(ir, "reversed"), "[e.reversed(10, 0), e.reversed(1000, 999)]") == [10, 1]


@needs_node
def test_functions_of_javascript_are_called_by_their_own_number():
    ir = """
    declare double @atan(double)
    declare double @acos(double)
    define double @angle(double %x) {
      %y = call double @acos(double %x)
      ret double %y
    }
    define double @other(double %x) {
      %y = call double @atan(double %x)
      %z = call double @angle(double %y)
      ret double %z
    }"""
    got = run(
        linked(ir, "angle", "other"), "[e.angle(0.25) - Math.acos(0.25), e.other(0.5) - Math.acos(Math.atan(0.5))]"
    )
    assert got == [0, 0]


def test_what_cannot_be_linked_is_named():
    with pytest.raises(ValueError, match="calls frobnicate"):
        linked("declare double @frobnicate(double)\ndefine double @f(double %x) {\n"
               "  %y = call double @frobnicate(double %x)\n  ret double %y\n}", "f")  # fmt: skip
    with pytest.raises(ValueError, match="lacks g"):
        linked("define double @f(double %x) {\n  ret double %x\n}", "f", "g")
    with pytest.raises(ValueError, match="refers to elsewhere"):
        linked("@elsewhere = external global double\ndefine ptr @f() {\n  ret ptr @elsewhere\n}", "f")
    with pytest.raises(ValueError, match="no WebAssembly"):
        link(b"\x7fELF", ["f"])
