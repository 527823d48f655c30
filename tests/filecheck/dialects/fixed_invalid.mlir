// RUN: calocc-opt %s --split-input-file --verify-diagnostics --parsing-diagnostics | filecheck %s

// What the fixed dialect refuses.

// The arrays of all parts.
func.func private @arrays() -> ()

{-#
  dialect_resources: {
    fixed: {
      b9f64a747e1b97f13: "0x01020304",
      b0ce3940bebf2b22a: "0x0304",
      bd99e58435243d9fe: "0x0000003f",
      b039058c6f2c0cb49: "0x010203",
      b185100950fe805b4: "0x010302"
    }
  }
#-}

// -----

func.func @too_wide(%a: !fixed.num<s63, 6>) {
  func.return
}
// CHECK: width must be 1 to 62, got 63

// -----

func.func @without_bits(%a: !fixed.num<u0, 6>) {
  func.return
}
// CHECK: width must be 1 to 62, got 0

// -----

func.func @sign(%a: !fixed.num<i8, 6>) {
  func.return
}
// CHECK: expected s<width> or u<width>, got 'i8'

// -----

"test.op"() {value = #fixed<rounding up>} : () -> ()
// CHECK: Expected `trn`, `trn_zero`, `rnd`, `rnd_zero`, `rnd_min_inf`, `rnd_inf`, or `rnd_conv`

// -----

%a = "test.op"() : () -> !fixed.num<u8, 3>
%b = fixed.add %a : (!fixed.num<u8, 3>) -> !fixed.num<u9, 4>
// CHECK: fixed.add takes 2 operands

// -----

%a = "test.op"() : () -> !fixed.num<u8, 3>
%b = fixed.mul %a, %a : (!fixed.num<u8, 3>, !fixed.num<u8, 3>) -> !fixed.num<u15, 6>
// CHECK: fixed.mul is exact: its result needs 10 fraction bits, ufixed<15,6> has 9

// -----

%a = fixed.constant <b9f64a747e1b97f13 : tensor<2x2xi8>> : !fixed.num<u8, 8>
// CHECK: a scalar constant varies by channel only: (2, 2)

// -----

%a = fixed.constant <b0ce3940bebf2b22a : tensor<2xi8>> : !fixed.num<u2, 2>
// CHECK: ufixed<2,2> does not hold 3 to 4

// -----

%a = fixed.constant <bd99e58435243d9fe : tensor<1xf32>> : !fixed.num<u2, 2>
// CHECK: mantissas are integers

// -----

%a = fixed.constant <b0123456789abcdef : tensor<2xi8>> : !fixed.num<u2, 2>
// CHECK: no resource section defines blob b0123456789abcdef

// -----

%a = fixed.constant <b0ce3940bebf2b22a : tensor<3xi8>> : !fixed.num<u4, 2>
// CHECK: blob {{b[0-9a-f]+}} holds 2 elements

// -----

"test.op"() {value = #fixed.blob<b0123456789abcdef : tensor<2xi4>>} : () -> ()
// CHECK: a blob holds i8 to i64, f32 or f64, not i4

// -----

%a = "test.op"() : () -> !fixed.num<u8, 3>
%b = fixed.threshold %a {thresholds = #fixed.blob<b039058c6f2c0cb49 : tensor<1x3xi8>>, base = 1 : i64} : (!fixed.num<u8, 3>) -> !fixed.num<u2, 2>
// CHECK: ufixed<2,2> does not hold the levels from 1

// -----

%a = "test.op"() : () -> !fixed.num<u8, 3>
%b = fixed.threshold %a {thresholds = #fixed.blob<b185100950fe805b4 : tensor<1x3xi8>>, base = 0 : i64} : (!fixed.num<u8, 3>) -> !fixed.num<u2, 2>
// CHECK: thresholds descend

// -----

%a = "test.op"() : () -> !fixed.num<u8, 3>
%b = fixed.threshold %a {thresholds = #fixed.blob<b039058c6f2c0cb49 : tensor<3xi8>>, base = 0 : i64} : (!fixed.num<u8, 3>) -> !fixed.num<u2, 2>
// CHECK: thresholds (3,) are not one row, or one per channel

// -----

%a = "test.op"() : () -> !fixed.num<u1, 1>
%b = fixed.lookup %a {table = #fixed.blob<b0ce3940bebf2b22a : tensor<2xi8>>, origin = 0 : i64} : (!fixed.num<u1, 1>) -> !fixed.num<u2, 2>
// CHECK: ufixed<2,2> does not hold 3 to 4

// -----

%a = "test.op"() : () -> !fixed.num<u1, 1>
%b = fixed.lookup %a {table = #fixed.blob<b9f64a747e1b97f13 : tensor<1x2x2xi8>>, origin = 0 : i64} : (!fixed.num<u1, 1>) -> !fixed.num<u3, 3>
// CHECK: a table is a row of entries, or one per channel: (1, 2, 2)
