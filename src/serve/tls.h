#pragma once

#include <boost/asio/ssl/context.hpp>
#include <filesystem>
#include <memory>

namespace mii::serve {

/// TLS 1.2 and 1.3 with this certificate chain and private key (PEM). Throws Error{invalid_argument} that
/// names the file which cannot be used.
std::shared_ptr<boost::asio::ssl::context> make_tls_context(const std::filesystem::path& certificate,
                                                            const std::filesystem::path& key);

}  // namespace mii::serve
