/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/base/lib.h"

#include <dlfcn.h>
#include <errno.h>

int qb_lib_load(struct qb_lib *lib, struct qb_error *err)
{
	void *handle;

	if (lib->loaded)
		return 0;
	handle = dlopen(lib->soname, RTLD_LAZY | RTLD_NODELETE);
	if (!handle)
		return qb_error_set(err, ENOENT, "%s", dlerror());
	for (size_t i = 0; i < lib->n_symbols; i++) {
		void *address = dlsym(handle, lib->symbols[i].name);

		if (!address)
			return qb_error_set(err, ENOENT, "%s has no %s", lib->soname,
					    lib->symbols[i].name);
		memcpy(lib->symbols[i].pointer, &address, sizeof(address));
	}
	lib->loaded = true;
	return 0;
}
