// Check digits of Korean numbers, over ASCII digits.
#pragma once

#include <string_view>

namespace jiphyeon {

bool rrn_checks(std::string_view digits13);  // 주민등록번호 issued before 2020-10-05
bool frn_checks(std::string_view digits13);  // 외국인등록번호 of the same time: the other's digit plus 2
bool corporation_checks(std::string_view digits13);  // 법인등록번호
bool business_checks(std::string_view digits10);     // 사업자등록번호
bool luhn_checks(std::string_view digits);
bool ean13_checks(std::string_view digits13);

}  // namespace jiphyeon
