// RUN: calocc-opt %s --split-input-file --verify-diagnostics --parsing-diagnostics | filecheck %s

// What steps that repeat over time have to be, on tensors and as processes.

// The arrays of all parts.
func.func private @arrays() -> ()

{-#
  dialect_resources: {
    fixed: {
      b9f64a747e1b97f13: "0x01020304"
    }
  }
#-}

// -----

%x = "test.op"() : () -> tensor<3x2xf32>
%y = qnn.recurrent %x : (tensor<3x2xf32>) -> tensor<2xf32> {
^bb0(%a: tensor<2xf32>):
  "qnn.yield"() : () -> ()
}
// CHECK: the body of qnn.recurrent ends in qnn.yield with an output

// -----

%x = "test.op"() : () -> tensor<3x2xf32>
%y = qnn.recurrent %x : (tensor<3x2xf32>) -> tensor<2xf32> {
^bb0(%a: tensor<2xf32>, %h: tensor<2xf32>):
  %b = "test.op"() : () -> tensor<2xf32>
  qnn.yield %a, %b : tensor<2xf32>, tensor<2xf32>
}
// CHECK: the body of qnn.recurrent holds layers only

// -----

%x = "test.op"() : () -> tensor<3x2xf32>
%y = qnn.recurrent %x : (tensor<3x2xf32>) -> tensor<2xf32> {
^bb0(%a: tensor<2xf32>):
  qnn.yield %a, %a, %a : tensor<2xf32>, tensor<2xf32>, tensor<2xf32>
}
// CHECK: the body of qnn.recurrent takes gates, then states

// -----

%x = "test.op"() : () -> tensor<3x5xf32>
%y = qnn.recurrent %x : (tensor<3x5xf32>) -> tensor<2xf32> {
^bb0(%a: tensor<2xf32>, %b: tensor<2xf32>, %h: tensor<2xf32>):
  qnn.yield %a, %h : tensor<2xf32>, tensor<2xf32>
}
// CHECK: rows of (3, 5) are not 2 gates of 2 units

// -----

%x = "test.op"() : () -> tensor<3x2xf32>
%y = qnn.recurrent %x : (tensor<3x2xf32>) -> tensor<3x2xf32> {
^bb0(%a: tensor<2xf32>, %h: tensor<2xf32>):
  qnn.yield %a, %h : tensor<2xf32>, tensor<2xf32>
}
// CHECK: result shape (3, 2), expected (2,)

// -----

%x = "test.op"() : () -> tensor<3x2x!fixed.num<s4, 4>>
%y = qnn.recurrent %x : (tensor<3x2x!fixed.num<s4, 4>>) -> tensor<2x!fixed.num<s5, 4>> {
^bb0(%a: tensor<2x!fixed.num<s5, 4>>, %h: tensor<2x!fixed.num<s5, 4>>):
  qnn.yield %a, %h : tensor<2x!fixed.num<s5, 4>>, tensor<2x!fixed.num<s5, 4>>
}
// CHECK: the body of qnn.recurrent takes parts of the operand's rows

// -----

%x = "test.op"() : () -> tensor<3x2x!fixed.num<s4, 4>>
%y = qnn.recurrent %x : (tensor<3x2x!fixed.num<s4, 4>>) -> tensor<2x!fixed.num<s4, 4>> {
^bb0(%a: tensor<2x!fixed.num<s4, 4>>, %h: tensor<2x!fixed.num<s3, 3>>):
  qnn.yield %a, %a : tensor<2x!fixed.num<s4, 4>>, tensor<2x!fixed.num<s4, 4>>
}
// CHECK: the next states have the types of the states

// -----

%x = "test.op"() : () -> tensor<3x2x!fixed.num<s4, 4>>
%y = qnn.recurrent %x : (tensor<3x2x!fixed.num<s4, 4>>) -> tensor<2x!fixed.num<s5, 5>> {
^bb0(%a: tensor<2x!fixed.num<s4, 4>>, %h: tensor<2x!fixed.num<s4, 4>>):
  qnn.yield %a, %h : tensor<2x!fixed.num<s4, 4>>, tensor<2x!fixed.num<s4, 4>>
}
// CHECK: the result holds outputs of the body

// -----

%x = "test.op"() : () -> tensor<3xf32>
%y = qnn.reverse %x : (tensor<3xf32>) -> tensor<3xf32>
// CHECK: (3,) has no rows

// -----

%x = "test.op"() : () -> !dataflow.stream<tensor<3x2x!fixed.num<s4, 4>>, 1>
%y = dataflow.reverse %x : (!dataflow.stream<tensor<3x2x!fixed.num<s4, 4>>, 1>) -> !dataflow.stream<tensor<2x3x!fixed.num<s4, 4>>, 1>
// CHECK: dataflow.reverse yields the shape (3, 2), not (2, 3)

// -----

%x = "test.op"() : () -> !dataflow.stream<tensor<3x2x!fixed.num<s4, 4>>, 1>
%y = dataflow.recurrent %x {simd = 1 : i64} : (!dataflow.stream<tensor<3x2x!fixed.num<s4, 4>>, 1>) -> !dataflow.stream<tensor<2x!fixed.num<s4, 4>>, 1> {
^bb0(%a: !fixed.num<s4, 4>, %h: !fixed.num<s4, 4>):
  "dataflow.next"() : () -> ()
}
// CHECK: the body of dataflow.recurrent ends in dataflow.next

// -----

%x = "test.op"() : () -> !dataflow.stream<tensor<3x2x!fixed.num<s4, 4>>, 1>
%y = dataflow.recurrent %x {simd = 1 : i64} : (!dataflow.stream<tensor<3x2x!fixed.num<s4, 4>>, 1>) -> !dataflow.stream<tensor<2x!fixed.num<s4, 4>>, 1> {
^bb0(%a: !fixed.num<s4, 4>, %h: !fixed.num<s4, 4>):
  dataflow.next %a, %a : !fixed.num<s4, 4>, !fixed.num<s4, 4>
}
// CHECK: a step multiplies 0 vectors at once, one is possible

// -----

%x = "test.op"() : () -> !dataflow.stream<tensor<3x2x!fixed.num<s4, 4>>, 1>
%y = dataflow.recurrent %x {simd = 1 : i64} : (!dataflow.stream<tensor<3x2x!fixed.num<s4, 4>>, 1>) -> !dataflow.stream<tensor<2x!fixed.num<s4, 4>>, 1> {
^bb0(%a: !fixed.num<s4, 4>, %h: !fixed.num<s4, 4>):
  %p = dataflow.dot %a {weights = #fixed.blob<b9f64a747e1b97f13 : tensor<2x2xi8>>, weight_type = !fixed.num<s4, 4>} : (!fixed.num<s4, 4>) -> !fixed.num<s8, 8>
  dataflow.next %a, %h : !fixed.num<s4, 4>, !fixed.num<s4, 4>
}
// CHECK: a step multiplies one of its states

// -----

%x = "test.op"() : () -> !dataflow.stream<tensor<3x2x!fixed.num<s4, 4>>, 1>
%y = dataflow.recurrent %x {simd = 1 : i64} : (!dataflow.stream<tensor<3x2x!fixed.num<s4, 4>>, 1>) -> !dataflow.stream<tensor<2x!fixed.num<s4, 4>>, 1> {
^bb0(%a: !fixed.num<s4, 4>, %h: !fixed.num<s4, 4>, %c: !fixed.num<s4, 4>):
  %p = dataflow.dot %h {weights = #fixed.blob<b9f64a747e1b97f13 : tensor<2x2xi8>>, weight_type = !fixed.num<s4, 4>} : (!fixed.num<s4, 4>) -> !fixed.num<s8, 8>
  %q = dataflow.dot %c {weights = #fixed.blob<b9f64a747e1b97f13 : tensor<2x2xi8>>, weight_type = !fixed.num<s4, 4>} : (!fixed.num<s4, 4>) -> !fixed.num<s8, 8>
  dataflow.next %a, %h, %c : !fixed.num<s4, 4>, !fixed.num<s4, 4>, !fixed.num<s4, 4>
}
// CHECK: a step multiplies 2 vectors at once, one is possible

// -----

%x = "test.op"() : () -> !dataflow.stream<tensor<3x2x!fixed.num<s4, 4>>, 1>
%y = dataflow.recurrent %x {simd = 1 : i64} : (!dataflow.stream<tensor<3x2x!fixed.num<s4, 4>>, 1>) -> !dataflow.stream<tensor<2x!fixed.num<s4, 4>>, 1> {
^bb0(%a: !fixed.num<s4, 4>, %h: !fixed.num<s4, 4>):
  %p = dataflow.dot %h {weights = #fixed.blob<b9f64a747e1b97f13 : tensor<2x2xi8>>, weight_type = !fixed.num<s4, 4>} : (!fixed.num<s4, 4>) -> !fixed.num<s8, 8>
  %q = dataflow.dot %p {weights = #fixed.blob<b9f64a747e1b97f13 : tensor<2x2xi8>>, weight_type = !fixed.num<s4, 4>} : (!fixed.num<s8, 8>) -> !fixed.num<s12, 12>
  %r = dataflow.dot %q {weights = #fixed.blob<b9f64a747e1b97f13 : tensor<2x2xi8>>, weight_type = !fixed.num<s4, 4>} : (!fixed.num<s12, 12>) -> !fixed.num<s16, 16>
  dataflow.next %a, %h : !fixed.num<s4, 4>, !fixed.num<s4, 4>
}
// CHECK: a step multiplies 3 times in a row, 2 is the limit

// -----

%x = "test.op"() : () -> !dataflow.stream<tensor<3x2x!fixed.num<s4, 4>>, 1>
%y = dataflow.recurrent %x {simd = 1 : i64} : (!dataflow.stream<tensor<3x2x!fixed.num<s4, 4>>, 1>) -> !dataflow.stream<tensor<2x!fixed.num<s4, 4>>, 1> {
^bb0(%a: !fixed.num<s3, 3>, %h: !fixed.num<s4, 4>):
  %p = dataflow.dot %h {weights = #fixed.blob<b9f64a747e1b97f13 : tensor<2x2xi8>>, weight_type = !fixed.num<s4, 4>} : (!fixed.num<s4, 4>) -> !fixed.num<s8, 8>
  dataflow.next %h, %h : !fixed.num<s4, 4>, !fixed.num<s4, 4>
}
// CHECK: the body of dataflow.recurrent takes elements of the operand

// -----

%x = "test.op"() : () -> !dataflow.stream<tensor<3x2x!fixed.num<s4, 4>>, 1>
%y = dataflow.recurrent %x {simd = 1 : i64} : (!dataflow.stream<tensor<3x2x!fixed.num<s4, 4>>, 1>) -> !dataflow.stream<tensor<2x!fixed.num<s4, 4>>, 1> {
^bb0(%a: !fixed.num<s4, 4>, %h: !fixed.num<s4, 4>):
  %p = dataflow.dot %h {weights = #fixed.blob<b9f64a747e1b97f13 : tensor<2x2xi8>>, weight_type = !fixed.num<s4, 4>} : (!fixed.num<s4, 4>) -> !fixed.num<s8, 8>
  dataflow.next %a, %p : !fixed.num<s4, 4>, !fixed.num<s8, 8>
}
// CHECK: a step yields an element of the result, then the next states

// -----

%x = "test.op"() : () -> !dataflow.stream<tensor<3x2x!fixed.num<s4, 4>>, 2>
%y = dataflow.recurrent %x {simd = 2 : i64} : (!dataflow.stream<tensor<3x2x!fixed.num<s4, 4>>, 2>) -> !dataflow.stream<tensor<2x!fixed.num<s4, 4>>, 1> {
^bb0(%a: !fixed.num<s4, 4>, %h: !fixed.num<s4, 4>):
  %p = dataflow.dot %h {weights = #fixed.blob<b9f64a747e1b97f13 : tensor<2x2xi8>>, weight_type = !fixed.num<s4, 4>} : (!fixed.num<s4, 4>) -> !fixed.num<s8, 8>
  dataflow.next %a, %h : !fixed.num<s4, 4>, !fixed.num<s4, 4>
}
// CHECK: the lanes of dataflow.recurrent are whole units

// -----

%x = "test.op"() : () -> !dataflow.stream<tensor<3x2x!fixed.num<s4, 4>>, 1>
%y = dataflow.recurrent %x {simd = 3 : i64} : (!dataflow.stream<tensor<3x2x!fixed.num<s4, 4>>, 1>) -> !dataflow.stream<tensor<2x!fixed.num<s4, 4>>, 1> {
^bb0(%a: !fixed.num<s4, 4>, %h: !fixed.num<s4, 4>):
  %p = dataflow.dot %h {weights = #fixed.blob<b9f64a747e1b97f13 : tensor<2x2xi8>>, weight_type = !fixed.num<s4, 4>} : (!fixed.num<s4, 4>) -> !fixed.num<s8, 8>
  dataflow.next %a, %h : !fixed.num<s4, 4>, !fixed.num<s4, 4>
}
// CHECK: simd=3 is no part of 2 units

// -----

%x = "test.op"() : () -> !dataflow.stream<tensor<3x4x!fixed.num<s4, 4>>, 1>
%y = dataflow.recurrent %x {simd = 1 : i64} : (!dataflow.stream<tensor<3x4x!fixed.num<s4, 4>>, 1>) -> !dataflow.stream<tensor<4x!fixed.num<s4, 4>>, 1> {
^bb0(%a: !fixed.num<s4, 4>, %h: !fixed.num<s4, 4>):
  %p = dataflow.dot %h {weights = #fixed.blob<b9f64a747e1b97f13 : tensor<2x2xi8>>, weight_type = !fixed.num<s4, 4>} : (!fixed.num<s4, 4>) -> !fixed.num<s8, 8>
  dataflow.next %a, %h : !fixed.num<s4, 4>, !fixed.num<s4, 4>
}
// CHECK: the weights of dataflow.dot are for 4 units

// -----

%h = "test.op"() : () -> !fixed.num<s4, 4>
%p = dataflow.dot %h {weights = #fixed.blob<b9f64a747e1b97f13 : tensor<4xi8>>, weight_type = !fixed.num<s4, 4>} : (!fixed.num<s4, 4>) -> !fixed.num<s8, 8>
// CHECK: weights (4,) do not take units to units

// -----

%h = "test.op"() : () -> !fixed.num<s4, 3>
%p = dataflow.dot %h {weights = #fixed.blob<b9f64a747e1b97f13 : tensor<2x2xi8>>, weight_type = !fixed.num<s4, 4>} : (!fixed.num<s4, 3>) -> !fixed.num<s8, 8>
// CHECK: the sum needs 1 fraction bits
