// Functions in double whose bits do not depend on the C library or the processor: made of + - * / alone.
// For tables computed once; accuracy a few units in the last place within the stated ranges.
#pragma once

namespace jiphyeon {

double fixed_log(double x);  // x > 0, normal
double fixed_exp(double x);  // |x| < 700
double fixed_sin(double x);  // |x| < 2^30
double fixed_cos(double x);

}  // namespace jiphyeon
