// RUN: calocc-opt %s --split-input-file --verify-diagnostics --parsing-diagnostics | filecheck %s

// What the dataflow dialect refuses.

// The arrays of all parts.
func.func private @arrays() -> ()

{-#
  dialect_resources: {
    fixed: {
      b9f64a747e1b97f13: "0x01020304",
      bf0f639189843668f: "0x0904",
      bbaa281679175c956: "0xf8f9fafbfcfdfeff0001020304050607"
    }
  }
#-}

// -----

func.func @lanes(%x: !dataflow.stream<tensor<2x6x!fixed.num<s8, 3>>, 7>) {
  func.return
}
// CHECK: the last axis of (2, 6) has no 7 lanes

// -----

func.func @lanes(%x: !dataflow.stream<tensor<2x6x!fixed.num<s8, 3>>, 0>) {
  func.return
}
// CHECK: the last axis of (2, 6) has no 0 lanes

// -----

func.func @pixels(%x: !dataflow.stream<tensor<5x2x6x!fixed.num<s8, 3>>, 1 x 3>) {
  func.return
}
// CHECK: a row of (5, 2, 6) has no 3 pixels

// -----

func.func @pixels(%x: !dataflow.stream<tensor<6x!fixed.num<s8, 3>>, 1 x 2>) {
  func.return
}
// CHECK: a row of (6,) has no 2 pixels

// -----

%x = "test.op"() : () -> !dataflow.stream<tensor<2x2x6x!fixed.num<s8, 3>>, 4>
%a = dataflow.upsample %x {factors = array<i64: 1, 2>} : (!dataflow.stream<tensor<2x2x6x!fixed.num<s8, 3>>, 4>) -> !dataflow.stream<tensor<2x4x6x!fixed.num<s8, 3>>, 4>
// CHECK: dataflow.upsample takes lanes of one pixel that divide it, not !dataflow.stream<tensor<2x2x6x!fixed.num<s8, 3>>, 4>

// -----

%x = "test.op"() : () -> !dataflow.stream<tensor<2x2x6x!fixed.num<s8, 3>>, 6>
%a = dataflow.upsample %x {factors = array<i64: 1, 3>} : (!dataflow.stream<tensor<2x2x6x!fixed.num<s8, 3>>, 6>) -> !dataflow.stream<tensor<2x6x6x!fixed.num<s8, 3>>, 6 x 2>
// CHECK: dataflow.upsample cannot give beats of !dataflow.stream<tensor<2x6x6x!fixed.num<s8, 3>>, 6 x 2> for beats of !dataflow.stream<tensor<2x2x6x!fixed.num<s8, 3>>, 6>

// -----

%x = "test.op"() : () -> !dataflow.stream<tensor<2x4x6x!fixed.num<s8, 3>>, 6 x 2>
%a = dataflow.pad %x {padding = array<i64: 1, 0, 0, 0>} : (!dataflow.stream<tensor<2x4x6x!fixed.num<s8, 3>>, 6 x 2>) -> !dataflow.stream<tensor<3x4x6x!fixed.num<s8, 3>>, 6 x 2>
// CHECK: dataflow.pad moves one pixel at a time

// -----

// Two windows, one pixel apart, do not end where three pixels do.
%x = "test.op"() : () -> !dataflow.stream<tensor<4x4x1x!fixed.num<s8, 3>>, 1 x 3>
%a = dataflow.window %x {size = array<i64: 2, 2>, strides = array<i64: 1, 1>, padding = array<i64: 0, 0, 0, 0>, fill = 0 : i64} : (!dataflow.stream<tensor<4x4x1x!fixed.num<s8, 3>>, 1 x 3>) -> !dataflow.stream<tensor<3x3x4x!fixed.num<s8, 3>>, 4 x 2>
// CHECK: 2 windows 1 pixels apart are no multiple of 3 pixels

// -----

%x = "test.op"() : () -> !dataflow.stream<tensor<3x4x!fixed.num<s8, 3>>, 2>
%a = dataflow.matvec %x {weights = #fixed.blob<b9f64a747e1b97f13 : tensor<4x1xi8>>, weight_type = !fixed.num<u3, 3>} : (!dataflow.stream<tensor<3x4x!fixed.num<s8, 3>>, 2>) -> !dataflow.stream<tensor<3x1x!fixed.num<s12, 7>>, 1 x 2> {
^bb0(%s: !fixed.num<s12, 7>):
  fixed.yield %s : !fixed.num<s12, 7>
}
// CHECK: a matvec gives as many pixels as it takes, not

// -----

// Rows of five vectors end in a group of two, a row of ten in one of one.
%x = "test.op"() : () -> !dataflow.stream<tensor<2x5x4x!fixed.num<s8, 3>>, 4 x 3>
%a = dataflow.matvec %x {weights = #fixed.blob<b9f64a747e1b97f13 : tensor<4x1xi8>>, weight_type = !fixed.num<u3, 3>} : (!dataflow.stream<tensor<2x5x4x!fixed.num<s8, 3>>, 4 x 3>) -> !dataflow.stream<tensor<10x1x!fixed.num<s12, 7>>, 1 x 3> {
^bb0(%s: !fixed.num<s12, 7>):
  fixed.yield %s : !fixed.num<s12, 7>
}
// CHECK: a matvec gives as many pixels as it takes, not

// -----

// A row of five pixels ends in a group of one, a row of ten does not.
%x = "test.op"() : () -> !dataflow.stream<tensor<2x5x3x!fixed.num<s8, 3>>, 3 x 2>
%a = dataflow.reshape %x : (!dataflow.stream<tensor<2x5x3x!fixed.num<s8, 3>>, 3 x 2>) -> !dataflow.stream<tensor<10x3x!fixed.num<s8, 3>>, 3 x 2>
// CHECK: cannot see !dataflow.stream<tensor<2x5x3x!fixed.num<s8, 3>>, 3 x 2> as

// -----

func.func @elements(%x: !dataflow.stream<tensor<2x6xf32>, 2>) {
  func.return
}
// CHECK: f32 should be of base attribute fixed.num

// -----

%x = "test.op"() : () -> !dataflow.stream<tensor<6x!fixed.num<s8, 3>>, 2>
%a, %b = dataflow.fork %x : (!dataflow.stream<tensor<6x!fixed.num<s8, 3>>, 2>) -> (!dataflow.stream<tensor<6x!fixed.num<s8, 3>>, 2>, !dataflow.stream<tensor<6x!fixed.num<s8, 3>>, 2>)
%c = dataflow.lanes %a : (!dataflow.stream<tensor<6x!fixed.num<s8, 3>>, 2>) -> !dataflow.stream<tensor<6x!fixed.num<s8, 3>>, 1>
%d = dataflow.lanes %a : (!dataflow.stream<tensor<6x!fixed.num<s8, 3>>, 2>) -> !dataflow.stream<tensor<6x!fixed.num<s8, 3>>, 1>
// CHECK: a stream has one reader; dataflow.fork copies it

// -----

%x = "test.op"() : () -> !dataflow.stream<tensor<6x!fixed.num<s8, 3>>, 2>
%a = dataflow.fork %x : (!dataflow.stream<tensor<6x!fixed.num<s8, 3>>, 2>) -> !dataflow.stream<tensor<6x!fixed.num<s8, 3>>, 2>
// CHECK: a fork has two or more results of its operand's type

// -----

%x = "test.op"() : () -> !dataflow.stream<tensor<6x!fixed.num<s8, 3>>, 2>
%a = dataflow.lanes %x : (!dataflow.stream<tensor<6x!fixed.num<s8, 3>>, 2>) -> !dataflow.stream<tensor<3x2x!fixed.num<s8, 3>>, 2>
// CHECK: cannot convert !dataflow.stream<tensor<6x!fixed.num<s8, 3>>, 2> to !dataflow.stream<tensor<3x2x!fixed.num<s8, 3>>, 2>

// -----

%x = "test.op"() : () -> !dataflow.stream<tensor<6x!fixed.num<s8, 3>>, 2>
%a = dataflow.map %x : (!dataflow.stream<tensor<6x!fixed.num<s8, 3>>, 2>) -> !dataflow.stream<tensor<6x!fixed.num<s8, 3>>, 3> {
^bb0(%p: !fixed.num<s8, 3>):
  fixed.yield %p : !fixed.num<s8, 3>
}
// CHECK: dataflow.map has the same lanes at every port

// -----

%x = "test.op"() : () -> !dataflow.stream<tensor<6x!fixed.num<s8, 3>>, 2>
%a = dataflow.map %x : (!dataflow.stream<tensor<6x!fixed.num<s8, 3>>, 2>) -> !dataflow.stream<tensor<4x!fixed.num<s8, 3>>, 2> {
^bb0(%p: !fixed.num<s8, 3>):
  fixed.yield %p : !fixed.num<s8, 3>
}
// CHECK: a map's operands and result have the same shape

// -----

%x = "test.op"() : () -> !dataflow.stream<tensor<6x!fixed.num<s8, 3>>, 2>
%a = dataflow.map %x : (!dataflow.stream<tensor<6x!fixed.num<s8, 3>>, 2>) -> !dataflow.stream<tensor<6x!fixed.num<s9, 3>>, 2> {
^bb0(%p: !fixed.num<s9, 3>):
  fixed.yield %p : !fixed.num<s9, 3>
}
// CHECK: a map's epilogue takes the elements of its operands

// -----

%x = "test.op"() : () -> !dataflow.stream<tensor<6x!fixed.num<s8, 3>>, 2>
%a = dataflow.map %x : (!dataflow.stream<tensor<6x!fixed.num<s8, 3>>, 2>) -> !dataflow.stream<tensor<6x!fixed.num<s9, 3>>, 2> {
^bb0(%p: !fixed.num<s8, 3>):
  fixed.yield %p : !fixed.num<s8, 3>
}
// CHECK: the epilogue yields !fixed.num<s8, 3>, the stream has fixed<9,3>

// -----

%x = "test.op"() : () -> !dataflow.stream<tensor<6x!fixed.num<s8, 3>>, 2>
%a = dataflow.map %x : (!dataflow.stream<tensor<6x!fixed.num<s8, 3>>, 2>) -> !dataflow.stream<tensor<6x!fixed.num<s8, 3>>, 2> {
^bb0(%p: !fixed.num<s8, 3>):
  "test.op"() : () -> ()
  fixed.yield %p : !fixed.num<s8, 3>
}
// CHECK: an epilogue holds scalar operations of the fixed dialect only

// -----

%x = "test.op"() : () -> !dataflow.stream<tensor<6x!fixed.num<s8, 3>>, 2>
%a = dataflow.map %x : (!dataflow.stream<tensor<6x!fixed.num<s8, 3>>, 2>) -> !dataflow.stream<tensor<6x!fixed.num<s9, 4>>, 2> {
^bb0(%p: !fixed.num<s8, 3>):
  %c = fixed.constant <b9f64a747e1b97f13 : tensor<4xi8>> : !fixed.num<u3, 3>
  %s = fixed.add %p, %c : (!fixed.num<s8, 3>, !fixed.num<u3, 3>) -> !fixed.num<s9, 4>
  fixed.yield %s : !fixed.num<s9, 4>
}
// CHECK: 4 constants for 6 channels

// -----

%x = "test.op"() : () -> !dataflow.stream<tensor<6x!fixed.num<s8, 3>>, 2>
%a = dataflow.matvec %x {weights = #fixed.blob<b9f64a747e1b97f13 : tensor<4xi8>>, weight_type = !fixed.num<u3, 3>} : (!dataflow.stream<tensor<6x!fixed.num<s8, 3>>, 2>) -> !dataflow.stream<tensor<4x!fixed.num<s12, 7>>, 2> {
^bb0(%s: !fixed.num<s12, 7>):
  fixed.yield %s : !fixed.num<s12, 7>
}
// CHECK: weights (4,) do not take

// -----

%x = "test.op"() : () -> !dataflow.stream<tensor<4x!fixed.num<s8, 3>>, 2>
%a = dataflow.matvec %x {weights = #fixed.blob<b9f64a747e1b97f13 : tensor<4x1xi8>>, weight_type = !fixed.num<u2, 2>} : (!dataflow.stream<tensor<4x!fixed.num<s8, 3>>, 2>) -> !dataflow.stream<tensor<1x!fixed.num<s12, 7>>, 1> {
^bb0(%s: !fixed.num<s12, 7>):
  fixed.yield %s : !fixed.num<s12, 7>
}
// CHECK: ufixed<2,2> does not hold 1 to 4

// -----

%x = "test.op"() : () -> !dataflow.stream<tensor<4x!fixed.num<s8, 3>>, 2>
%a = dataflow.matvec %x {weights = #fixed.blob<b9f64a747e1b97f13 : tensor<4x1xi8>>, weight_type = !fixed.num<u3, 3>} : (!dataflow.stream<tensor<4x!fixed.num<s8, 3>>, 2>) -> !dataflow.stream<tensor<1x!fixed.num<s11, 7>>, 1> {
^bb0(%s: !fixed.num<s11, 7>):
  fixed.yield %s : !fixed.num<s11, 7>
}
// CHECK: the accumulator needs 5 fraction bits

// -----

%x = "test.op"() : () -> !dataflow.stream<tensor<4x!fixed.num<s8, 3>>, 2>
%a = dataflow.matvec %x {weights = #fixed.blob<b9f64a747e1b97f13 : tensor<4x1xi8>>, weight_type = !fixed.num<u3, 3>} : (!dataflow.stream<tensor<4x!fixed.num<s8, 3>>, 2>) -> !dataflow.stream<tensor<1x!fixed.num<s12, 7>>, 1> {
^bb0(%s: !fixed.num<s12, 7>, %t: !fixed.num<s12, 7>):
  fixed.yield %s : !fixed.num<s12, 7>
}
// CHECK: the epilogue of dataflow.matvec takes 1 scalars and yields one

// -----

%x = "test.op"() : () -> !dataflow.stream<tensor<4x4x!fixed.num<s8, 3>>, 2>
%a = dataflow.reduce %x {kind = #qnn<pooling sum>} : (!dataflow.stream<tensor<4x4x!fixed.num<s8, 3>>, 2>) -> !dataflow.stream<tensor<6x!fixed.num<s8, 3>>, 2> {
^bb0(%s: !fixed.num<s8, 3>):
  fixed.yield %s : !fixed.num<s8, 3>
}
// CHECK: cannot reduce (4, 4) to (6,)

// -----

%x = "test.op"() : () -> !dataflow.stream<tensor<4x4x!fixed.num<s8, 3>>, 2>
%a = dataflow.reduce %x {kind = #qnn<pooling sum>} : (!dataflow.stream<tensor<4x4x!fixed.num<s8, 3>>, 2>) -> !dataflow.stream<tensor<4x!fixed.num<s8, 5>>, 2> {
^bb0(%s: !fixed.num<s8, 5>):
  fixed.yield %s : !fixed.num<s8, 5>
}
// CHECK: the accumulator needs 5 fraction bits

// -----

%x = "test.op"() : () -> !dataflow.stream<tensor<4x!fixed.num<s8, 3>>, 2>
%a = dataflow.softmax %x {table = #fixed.blob<bf0f639189843668f : tensor<2xi8>>} : (!dataflow.stream<tensor<4x!fixed.num<s8, 3>>, 2>) -> !dataflow.stream<tensor<4x!fixed.num<u8, 0>>, 2>
// CHECK: softmax takes one element at a time

// -----

%x = "test.op"() : () -> !dataflow.stream<tensor<4x!fixed.num<s8, 3>>, 1>
%a = dataflow.softmax %x {table = #fixed.blob<bf0f639189843668f : tensor<2xi8>>} : (!dataflow.stream<tensor<4x!fixed.num<s8, 3>>, 1>) -> !dataflow.stream<tensor<3x!fixed.num<u8, 0>>, 1>
// CHECK: softmax keeps the shape

// -----

%x = "test.op"() : () -> !dataflow.stream<tensor<4x4x1x!fixed.num<s8, 3>>, 1>
%a = dataflow.window %x {size = array<i64: 2, 2>, strides = array<i64: 1, 1>, padding = array<i64: 0, 0, 0, 0>, fill = 0 : i64} : (!dataflow.stream<tensor<4x4x1x!fixed.num<s8, 3>>, 1>) -> !dataflow.stream<tensor<4x4x4x!fixed.num<s8, 3>>, 1>
// CHECK: dataflow.window yields the shape (3, 3, 4), not (4, 4, 4)

// -----

%x = "test.op"() : () -> !dataflow.stream<tensor<4x4x1x!fixed.num<s8, 3>>, 1>
%a = dataflow.window %x {size = array<i64: 2, 2>, strides = array<i64: 1, 1>, padding = array<i64: 0, 0, 0, 0>, fill = -129 : i64} : (!dataflow.stream<tensor<4x4x1x!fixed.num<s8, 3>>, 1>) -> !dataflow.stream<tensor<3x3x4x!fixed.num<s8, 3>>, 1>
// CHECK: fixed<8,3> does not hold the fill -129

// -----

%x, %y = "test.op"() : () -> (!dataflow.stream<tensor<2x2x!fixed.num<s8, 3>>, 1>, !dataflow.stream<tensor<2x2x!fixed.num<s8, 4>>, 1>)
%a = dataflow.concat %x, %y {axis = 0 : i64} : (!dataflow.stream<tensor<2x2x!fixed.num<s8, 3>>, 1>, !dataflow.stream<tensor<2x2x!fixed.num<s8, 4>>, 1>) -> !dataflow.stream<tensor<4x2x!fixed.num<s8, 3>>, 1>
// CHECK: dataflow.concat keeps the format

// -----

%x, %y = "test.op"() : () -> (!dataflow.stream<tensor<2x2x!fixed.num<s8, 3>>, 1>, !dataflow.stream<tensor<2x2x!fixed.num<s8, 3>>, 1>)
%a = dataflow.concat %x, %y {axis = 0 : i64} : (!dataflow.stream<tensor<2x2x!fixed.num<s8, 3>>, 1>, !dataflow.stream<tensor<2x2x!fixed.num<s8, 3>>, 1>) -> !dataflow.stream<tensor<2x4x!fixed.num<s8, 3>>, 1>
// CHECK: dataflow.concat yields the shape (4, 2), not (2, 4)

// -----

%x = "test.op"() : () -> !dataflow.stream<tensor<2x2x1x!fixed.num<s8, 3>>, 1>
%a = dataflow.pad %x {padding = array<i64: 1, 0, 0, 0>} : (!dataflow.stream<tensor<2x2x1x!fixed.num<s8, 3>>, 1>) -> !dataflow.stream<tensor<2x3x1x!fixed.num<s8, 3>>, 1>
// CHECK: dataflow.pad yields the shape (3, 2, 1), not (2, 3, 1)

// -----

%x = "test.op"() : () -> !dataflow.stream<tensor<2x2x1x!fixed.num<s8, 3>>, 1>
%a = dataflow.upsample %x {factors = array<i64: 1, 2>} : (!dataflow.stream<tensor<2x2x1x!fixed.num<s8, 3>>, 1>) -> !dataflow.stream<tensor<2x4x1x!fixed.num<s7, 3>>, 1>
// CHECK: dataflow.upsample keeps the format

// -----

%x = "test.op"() : () -> !dataflow.stream<tensor<2x3x!fixed.num<s8, 3>>, 1>
%a = dataflow.buffer %x {permutation = array<i64: 1, 0>} : (!dataflow.stream<tensor<2x3x!fixed.num<s8, 3>>, 1>) -> !dataflow.stream<tensor<2x3x!fixed.num<s8, 3>>, 1>
// CHECK: dataflow.buffer yields the shape (3, 2), not (2, 3)

// -----

%x = "test.op"() : () -> !dataflow.stream<tensor<2x3x!fixed.num<s8, 3>>, 3>
%a = dataflow.buffer %x {permutation = array<i64: 1, 0>} : (!dataflow.stream<tensor<2x3x!fixed.num<s8, 3>>, 3>) -> !dataflow.stream<tensor<3x2x!fixed.num<s8, 3>>, 1>
// CHECK: dataflow.buffer has the same lanes at every port

// -----

%x = "test.op"() : () -> !dataflow.stream<tensor<2x2x!fixed.num<s8, 3>>, 2>
%a = dataflow.buffer %x {permutation = array<i64: 1, 0>} : (!dataflow.stream<tensor<2x2x!fixed.num<s8, 3>>, 2>) -> !dataflow.stream<tensor<2x2x!fixed.num<s8, 3>>, 2>
// CHECK: a buffer moves one element at a time unless the last axis stays

// -----

%x = "test.op"() : () -> !dataflow.stream<tensor<2x3x!fixed.num<s8, 3>>, 3>
%a = dataflow.reshape %x : (!dataflow.stream<tensor<2x3x!fixed.num<s8, 3>>, 3>) -> !dataflow.stream<tensor<6x!fixed.num<s8, 3>>, 2>
// CHECK: cannot see !dataflow.stream<tensor<2x3x!fixed.num<s8, 3>>, 3> as !dataflow.stream<tensor<6x!fixed.num<s8, 3>>, 2>

// -----

%x = "test.op"() : () -> !dataflow.stream<tensor<2x3x!fixed.num<s8, 3>>, 1>
%a = dataflow.slice %x {axis = 1 : i64, start = 0 : i64, stop = 2 : i64} : (!dataflow.stream<tensor<2x3x!fixed.num<s8, 3>>, 1>) -> !dataflow.stream<tensor<2x3x!fixed.num<s8, 3>>, 1>
// CHECK: a slice of !dataflow.stream<tensor<2x3x!fixed.num<s8, 3>>, 1> is not !dataflow.stream<tensor<2x3x!fixed.num<s8, 3>>, 1>

// -----

// A beat of 2 channels with 2 kernels each makes a beat of 4 results.
%x = "test.op"() : () -> !dataflow.stream<tensor<2x8x!fixed.num<s8, 3>>, 2>
%a = dataflow.depthwise %x {weights = #fixed.blob<bbaa281679175c956 : tensor<4x2x2xi8>>, weight_type = !fixed.num<s4, 4>} : (!dataflow.stream<tensor<2x8x!fixed.num<s8, 3>>, 2>) -> !dataflow.stream<tensor<2x4x!fixed.num<s14, 9>>, 2> {
^bb0(%s: !fixed.num<s14, 9>):
  fixed.yield %s : !fixed.num<s14, 9>
}
// CHECK: weights (4, 2, 2) do not take

// -----

// Several taps at once come with all of their channels.
%x = "test.op"() : () -> !dataflow.stream<tensor<2x8x!fixed.num<s8, 3>>, 4>
%a = dataflow.reduce %x {kind = #qnn<pooling max>} : (!dataflow.stream<tensor<2x8x!fixed.num<s8, 3>>, 4>) -> !dataflow.stream<tensor<2x4x!fixed.num<s8, 3>>, 2> {
^bb0(%s: !fixed.num<s8, 3>):
  fixed.yield %s : !fixed.num<s8, 3>
}
// CHECK: cannot reduce beats of !dataflow.stream<tensor<2x8x!fixed.num<s8, 3>>, 4> to beats of !dataflow.stream<tensor<2x4x!fixed.num<s8, 3>>, 2>
