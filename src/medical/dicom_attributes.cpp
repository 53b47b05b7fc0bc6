#include "medical/dicom_attributes.h"

#include <algorithm>
#include <cmath>

namespace mii {

std::string dicom_text(DcmItem& item, const DcmTagKey& tag) {
  OFString value;
  if (item.findAndGetOFStringArray(tag, value).bad()) return {};
  std::string text(value.c_str(), value.length());
  while (!text.empty() && (text.back() == ' ' || text.back() == '\0')) text.pop_back();
  text.erase(0, text.find_first_not_of(' ') == std::string::npos ? text.size() : text.find_first_not_of(' '));
  return text;
}

std::vector<double> dicom_numbers(DcmItem& item, const DcmTagKey& tag) {
  DcmElement* element = nullptr;
  if (item.findAndGetElement(tag, element).bad() || element == nullptr) return {};
  std::vector<double> numbers;
  const unsigned long count = std::min(element->getVM(), 1000ul);
  for (unsigned long i = 0; i < count; ++i) {
    Float64 real = 0;
    Sint32 whole = 0;
    Uint16 small = 0;
    Sint16 small_signed = 0;
    if (element->getFloat64(real, i).good())
      numbers.push_back(real);
    else if (element->getSint32(whole, i).good())
      numbers.push_back(whole);
    else if (element->getUint16(small, i).good())
      numbers.push_back(small);
    else if (element->getSint16(small_signed, i).good())
      numbers.push_back(small_signed);
    else
      break;
    if (!std::isfinite(numbers.back())) numbers.pop_back();
  }
  return numbers;
}

std::optional<double> dicom_number(DcmItem& item, const DcmTagKey& tag) {
  const std::vector<double> numbers = dicom_numbers(item, tag);
  return numbers.empty() ? std::nullopt : std::optional(numbers.front());
}

int whole_number(double number) { return static_cast<int>(std::clamp(number, -2e9, 2e9)); }

int dicom_integer(DcmItem& item, const DcmTagKey& tag, int otherwise) {
  const auto number = dicom_number(item, tag);
  return number && std::abs(*number) < 2e9 ? static_cast<int>(*number) : otherwise;
}

DcmItem* dicom_item(DcmItem& item, const DcmTagKey& sequence, size_t index) {
  DcmItem* found = nullptr;
  if (item.findAndGetSequenceItem(sequence, found, static_cast<signed long>(index)).bad()) return nullptr;
  return found;
}

}  // namespace mii
