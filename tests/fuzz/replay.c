/* SPDX-License-Identifier: Apache-2.0 */
/* Stands in for libFuzzer where there is none: the inputs named on the command line, once each. */
#include <fcntl.h>
#include <sys/stat.h>

#include "tests/fuzz/fuzz.h"

int main(int argc, char **argv)
{
	for (int i = 1; i < argc; i++) {
		_cleanup_close_ int fd = open(argv[i], O_RDONLY | O_CLOEXEC);
		_cleanup_free_ uint8_t *data = NULL;
		struct stat st;

		if (argv[i][0] == '-')
			continue;
		MUST(fd >= 0 && fstat(fd, &st) == 0);
		/* Of just its size, so that a sanitizer sees what reads beyond it. */
		data = malloc((size_t)st.st_size);
		MUST(read(fd, data, (size_t)st.st_size) == st.st_size);
		LLVMFuzzerTestOneInput(data, (size_t)st.st_size);
	}
	return 0;
}
