// RUN: calocc-opt %s | calocc-opt | filecheck %s

// Types and attributes of the fixed dialect; the module prints, parses and prints the same.

// CHECK:      func.func @formats(%{{.*}}: !fixed.num<s16, 6>, %{{.*}}: !fixed.num<u8, 8>,
// CHECK-SAME:   %{{.*}}: !fixed.num<s4, -3>, %{{.*}}: !fixed.num<u1, 20>, %{{.*}}: !fixed.num<s62, 62>)
func.func @formats(
  %a: !fixed.num<s16, 6>, %b: !fixed.num<u8, 8>,
  %c: !fixed.num<s4, -3>, %d: !fixed.num<u1, 20>, %e: !fixed.num<s62, 62>) {
  func.return
}

// CHECK:      "test.op"() {
// CHECK-SAME:   rounding = [#fixed<rounding trn>, #fixed<rounding trn_zero>, #fixed<rounding rnd>, #fixed<rounding rnd_zero>, #fixed<rounding rnd_min_inf>, #fixed<rounding rnd_inf>, #fixed<rounding rnd_conv>],
// CHECK-SAME:   overflow = [#fixed<overflow wrap>, #fixed<overflow sat>, #fixed<overflow sat_sym>, #fixed<overflow sat_zero>]
"test.op"() {
  rounding = [#fixed<rounding trn>, #fixed<rounding trn_zero>, #fixed<rounding rnd>, #fixed<rounding rnd_zero>, #fixed<rounding rnd_min_inf>, #fixed<rounding rnd_inf>, #fixed<rounding rnd_conv>],
  overflow = [#fixed<overflow wrap>, #fixed<overflow sat>, #fixed<overflow sat_sym>, #fixed<overflow sat_zero>]
} : () -> ()
