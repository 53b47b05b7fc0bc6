#pragma once

#include "mii/error.h"

namespace mii::search {

/// The Error{io} of a collection that another process writes to.
class CollectionBusy : public Error {
 public:
  using Error::Error;
};

/// The Error{io} of a collection that this process has not the right to change (of a database, also to read):
/// by its role there, by the permissions of a folder's file `lock`, or because the disk or the database
/// takes no changes.
class CollectionForbidden : public Error {
 public:
  using Error::Error;
};

}  // namespace mii::search
