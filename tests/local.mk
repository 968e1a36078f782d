# Every suite speaks TAP. See docs/ARCHITECTURE.md for what lives where.
#   NST     the program under test, with its whole path: the one that is installed, not
#           libtool's script for it, beside the library and the other programs
#   srcdir  for the scripts; set by the test harness
# The GPU of tests/fakecuda is for those that ask for it: it is slow.
TEST_EXTENSIONS = .sh .bats
TESTS_LOG_COMPILER =
LOG_DRIVER = env AM_TAP_AWK='$(AWK)' $(SHELL) $(top_srcdir)/build-aux/tap-driver.sh
SH_LOG_DRIVER = $(LOG_DRIVER)
BATS_LOG_DRIVER = $(LOG_DRIVER)
BATS_LOG_COMPILER = $(SHELL) $(top_srcdir)/tests/cli/run-bats
AM_TESTS_ENVIRONMENT = \
	NST='$(abs_top_builddir)/.libs/nst'; export NST; \
	LD_LIBRARY_PATH='$(abs_top_builddir)/.libs'; export LD_LIBRARY_PATH; \
	BATS='$(BATS)'; export BATS; \
	SANITIZERS='$(enable_sanitizers)'; export SANITIZERS; \
	srcdir='$(abs_top_srcdir)'; export srcdir; \
	NST_FAKE_CUDA_DRIVER=none; export NST_FAKE_CUDA_DRIVER; \
	CMOCKA_MESSAGE_OUTPUT=TAP; export CMOCKA_MESSAGE_OUTPUT; \
	XDG_STATE_HOME='$(abs_top_builddir)/tests/state'; export XDG_STATE_HOME; \
	XDG_CONFIG_HOME='$(abs_top_builddir)/tests/config'; export XDG_CONFIG_HOME; \
	XDG_DATA_HOME='$(abs_top_builddir)/tests/data'; export XDG_DATA_HOME; \
	unset NST_MODEL_PATH NST_HISTORY NST_BACKEND NST_CPU;

# What --with-cuda=fake has in place of a GPU, and of the toolkit.
FAKE_CUDA_SOURCES = %D%/fakecuda/fake.cc %D%/fakecuda/faults.cc %D%/fakecuda/grid.cc \
	%D%/fakecuda/streams.cc
FAKE_CUDA = $(FAKE_CUDA_SOURCES) %D%/fakecuda/cublas_v2.h %D%/fakecuda/cuda_fp16.h \
	%D%/fakecuda/cuda_runtime.h %D%/fakecuda/device.h %D%/fakecuda/fake.h \
	%D%/fakecuda/library_types.h %D%/fakecuda/backend/cuda/ptx.cuh \
	%D%/fakecuda/test_fakecuda.cc
EXTRA_DIST += $(FAKE_CUDA)
if FAKE_CUDA
check_SCRIPTS = tests/fakecuda/test_fakecuda
TESTS += $(check_SCRIPTS)
CLEANFILES += $(check_SCRIPTS)
tests/fakecuda/test_fakecuda: $(FAKE_CUDA)
	$(AM_V_GEN)$(MKDIR_P) '$(@D)' && $(CXX) -std=c++17 -Wall -Wextra \
	-I'$(srcdir)/tests/fakecuda' -I'$(srcdir)/src' -I'$(srcdir)/tests' \
	$(SANITIZER_CFLAGS) $(CFLAGS) -pthread -o $@ '$(srcdir)/tests/fakecuda/test_fakecuda.cc' \
	'$(srcdir)/tests/fakecuda/fake.cc' '$(srcdir)/tests/fakecuda/faults.cc' \
	'$(srcdir)/tests/fakecuda/grid.cc' '$(srcdir)/tests/fakecuda/streams.cc'
endif

# floors 0 to 2, without cmocka and without what the floors above link
ENGINE_TESTS = tests/base/test_threads tests/kernels/test_kernels \
	tests/kernels/checkkernels tests/kernels/checkflow \
	tests/backend/checkbackend tests/backend/checknet \
	tests/backend/checkvectors
tests_base_test_threads_SOURCES = %D%/base/test_threads.c %D%/tap.h
tests_base_test_threads_LDADD = libnst-engine.la
tests_kernels_test_kernels_SOURCES = %D%/kernels/test_kernels.c %D%/tap.h
tests_kernels_test_kernels_LDADD = libnst-engine.la
tests_kernels_checkkernels_SOURCES = %D%/kernels/checkkernels.c
tests_kernels_checkkernels_LDADD = libnst-engine.la
tests_kernels_checkflow_SOURCES = %D%/kernels/checkflow.c
tests_kernels_checkflow_LDADD = libnst-engine.la
tests_backend_checknet_SOURCES = %D%/backend/checknet.c %D%/backend/checknet.h \
	%D%/backend/net_gradients.c %D%/tap.h
tests_backend_checknet_LDADD = libnst-engine.la
tests_backend_checkbackend_SOURCES = %D%/backend/checkbackend.c \
	%D%/backend/convolutions.c %D%/backend/inputs.c %D%/backend/operators.h \
	%D%/backend/sums.c %D%/backend/values.c %D%/blas.h %D%/tap.h
tests_backend_checkbackend_LDADD = libnst-engine.la
tests_backend_checkvectors_SOURCES = %D%/backend/checkvectors.c \
	%D%/backend/directions.c %D%/backend/vectors.c %D%/backend/vectors.h %D%/tap.h
tests_backend_checkvectors_LDADD = libnst-engine.la

CORE_LIBS = libnst-core.la
GRAD_TESTS = tests/grad/test_gradient tests/grad/test_net tests/grad/test_tiling \
	tests/grad/test_cuda
tests_grad_test_net_SOURCES = %D%/grad/test_net.c
tests_grad_test_net_LDADD = $(CORE_LIBS)
tests_grad_test_cuda_SOURCES = %D%/grad/test_cuda.c %D%/grad/network.h
tests_grad_test_cuda_CPPFLAGS = $(AM_CPPFLAGS) \
	-DMODEL='"$(abs_top_srcdir)/models/vgg19-lite.safetensors"'
tests_grad_test_cuda_LDADD = libnst-run.la
tests_grad_test_tiling_SOURCES = %D%/grad/test_tiling.c %D%/grad/network.h \
	%D%/blas.h
tests_grad_test_tiling_LDADD = $(CORE_LIBS)
tests_grad_test_gradient_SOURCES = %D%/grad/test_gradient.c %D%/grad/network.h \
	%D%/blas.h
tests_grad_test_gradient_LDADD = $(CORE_LIBS)

UNIT_TESTS = tests/unit/test_options tests/unit/test_layers tests/unit/test_safetensors \
	tests/unit/test_models tests/unit/test_networks \
	tests/unit/test_lbfgs tests/unit/test_memory tests/unit/test_picture_load \
	tests/unit/test_picture_formats \
	tests/unit/test_picture_save tests/unit/test_picture_pixels \
	tests/unit/test_flow tests/unit/test_frames tests/unit/test_history \
	tests/unit/test_colour_transfer tests/unit/test_net tests/unit/test_net_file \
	tests/unit/test_pack tests/unit/test_api tests/unit/test_samples \
	tests/unit/test_y4m
UNIT_CPPFLAGS = $(AM_CPPFLAGS) $(CMOCKA_CFLAGS) -I$(srcdir)/%D%/unit
UNIT_LDADD = libnst-run.la $(CMOCKA_LIBS)
EXTRA_DIST += %D%/unit/unit.h %D%/unit/temp_path.h

tests_unit_test_options_SOURCES = %D%/unit/test_options.c
tests_unit_test_options_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_unit_test_options_LDADD = $(UNIT_LDADD)
tests_unit_test_layers_SOURCES = %D%/unit/test_layers.c
tests_unit_test_layers_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_unit_test_layers_LDADD = $(UNIT_LDADD)
tests_unit_test_pack_SOURCES = %D%/unit/test_pack.c
tests_unit_test_pack_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_unit_test_pack_LDADD = $(UNIT_LDADD)
tests_unit_test_net_file_SOURCES = %D%/unit/test_net_file.c
tests_unit_test_net_file_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_unit_test_net_file_LDADD = $(UNIT_LDADD)
tests_unit_test_models_SOURCES = %D%/unit/test_models.c
tests_unit_test_models_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_unit_test_models_LDADD = $(UNIT_LDADD)
tests_unit_test_networks_SOURCES = %D%/unit/test_networks.c
tests_unit_test_networks_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_unit_test_networks_LDADD = $(UNIT_LDADD)
tests_unit_test_safetensors_SOURCES = %D%/unit/test_safetensors.c
tests_unit_test_safetensors_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_unit_test_safetensors_LDADD = $(UNIT_LDADD)
tests_golden_pytorch_SOURCES = %D%/golden/pytorch.c %D%/unit/torch_lbfgs.c \
	%D%/unit/torch_lbfgs.h
tests_golden_pytorch_CPPFLAGS = $(AM_CPPFLAGS) -I$(srcdir)/%D% -I$(srcdir)/%D%/unit
tests_golden_pytorch_LDADD = libnst-run.la
tests/golden/reference.log: tests/golden/pytorch
tests_golden_train_SOURCES = %D%/golden/train.c
tests_golden_train_LDADD = libnst-run.la
tests/golden/train.log: tests/golden/train
tests_unit_test_lbfgs_SOURCES = %D%/unit/test_lbfgs.c \
	%D%/unit/torch_lbfgs.c %D%/unit/torch_lbfgs.h
tests_unit_test_lbfgs_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_unit_test_lbfgs_LDADD = $(UNIT_LDADD)
tests_unit_test_memory_SOURCES = %D%/unit/test_memory.c
tests_unit_test_memory_CPPFLAGS = $(UNIT_CPPFLAGS) \
	-DMODEL='"$(abs_top_srcdir)/models/vgg19-lite.safetensors"'
tests_unit_test_memory_LDFLAGS = $(AM_LDFLAGS) -Wl,--wrap=posix_memalign
tests_unit_test_memory_LDADD = $(UNIT_LDADD)
tests_unit_test_picture_formats_SOURCES = %D%/unit/test_picture_formats.c \
	%D%/unit/picture.h
tests_unit_test_picture_formats_CPPFLAGS = $(UNIT_CPPFLAGS) $(VIPS_CFLAGS)
tests_unit_test_picture_formats_LDADD = $(UNIT_LDADD)
tests_unit_test_picture_load_SOURCES = %D%/unit/test_picture_load.c %D%/unit/picture.h
tests_unit_test_picture_load_CPPFLAGS = $(UNIT_CPPFLAGS) $(VIPS_CFLAGS)
tests_unit_test_picture_load_LDADD = $(UNIT_LDADD)
tests_unit_test_picture_save_SOURCES = %D%/unit/test_picture_save.c %D%/unit/picture.h
tests_unit_test_picture_save_CPPFLAGS = $(UNIT_CPPFLAGS) $(VIPS_CFLAGS)
tests_unit_test_picture_save_LDADD = $(UNIT_LDADD)
tests_unit_test_picture_pixels_SOURCES = %D%/unit/test_picture_pixels.c %D%/unit/picture.h
tests_unit_test_picture_pixels_CPPFLAGS = $(UNIT_CPPFLAGS) $(VIPS_CFLAGS)
tests_unit_test_picture_pixels_LDADD = $(UNIT_LDADD)
tests_unit_test_flow_SOURCES = %D%/unit/test_flow.c
tests_unit_test_flow_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_unit_test_flow_LDADD = $(UNIT_LDADD)
tests_unit_test_net_SOURCES = %D%/unit/test_net.c %D%/tap.h
tests_unit_test_net_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_unit_test_net_LDADD = $(UNIT_LDADD)
tests_unit_test_y4m_SOURCES = %D%/unit/test_y4m.c %D%/tap.h
tests_unit_test_y4m_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_unit_test_y4m_LDADD = $(UNIT_LDADD)
tests_unit_test_frames_SOURCES = %D%/unit/test_frames.c
tests_unit_test_frames_CPPFLAGS = $(UNIT_CPPFLAGS) $(VIPS_CFLAGS)
tests_unit_test_frames_LDADD = $(UNIT_LDADD)
tests_unit_test_history_SOURCES = %D%/unit/test_history.c
tests_unit_test_history_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_unit_test_history_LDADD = $(UNIT_LDADD)
tests_unit_test_colour_transfer_SOURCES = %D%/unit/test_colour_transfer.c
tests_unit_test_colour_transfer_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_unit_test_colour_transfer_LDADD = $(UNIT_LDADD)

if SERVE
UNIT_TESTS += tests/unit/test_sandbox tests/unit/test_identity
UNIT_TESTS += tests/unit/test_fair tests/unit/test_multipart tests/unit/test_public_address
endif
tests_unit_test_sandbox_SOURCES = %D%/unit/test_sandbox.c %D%/escapes.h src/serve/sandbox.c \
	src/serve/sandbox_calls.c src/serve/sandbox_files.c
tests_unit_test_sandbox_CPPFLAGS = $(UNIT_CPPFLAGS) $(SERVE_CFLAGS) -I$(srcdir)/%D%
tests_unit_test_sandbox_LDADD = libnst-util.la libnst.la $(CMOCKA_LIBS) $(SERVE_LIBS)

tests_unit_test_fair_SOURCES = %D%/unit/test_fair.c src/serve/queue/fair.c
tests_unit_test_fair_CPPFLAGS = $(UNIT_CPPFLAGS) $(SERVE_CFLAGS)
tests_unit_test_fair_LDADD = $(SERVE_LIBS) $(CMOCKA_LIBS)

tests_unit_test_public_address_SOURCES = %D%/unit/test_public_address.c \
	src/serve/public_address.c
tests_unit_test_public_address_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_unit_test_public_address_LDADD = $(CMOCKA_LIBS)

tests_unit_test_multipart_SOURCES = %D%/unit/test_multipart.c src/serve/http/multipart.c
tests_unit_test_multipart_CPPFLAGS = $(UNIT_CPPFLAGS) $(GLIB_CFLAGS)
tests_unit_test_multipart_LDADD = libnst-util.la libnst.la $(GLIB_LIBS) $(CMOCKA_LIBS)

tests_unit_test_identity_SOURCES = %D%/unit/test_identity.c src/serve/http/cookie.c \
	src/serve/http/limiter.c src/serve/http/tokens.c
tests_unit_test_identity_CPPFLAGS = $(UNIT_CPPFLAGS) $(SERVE_CFLAGS)
tests_unit_test_identity_LDADD = libnst-util.la libnst.la $(CMOCKA_LIBS) $(SERVE_LIBS)

tests_unit_test_samples_SOURCES = %D%/unit/test_samples.c
tests_unit_test_samples_CPPFLAGS = $(UNIT_CPPFLAGS) \
	-DMODEL='"$(abs_top_srcdir)/models/vgg19-lite.safetensors"'
tests_unit_test_samples_LDADD = libnst.la $(CMOCKA_LIBS)
tests_unit_test_api_SOURCES = %D%/unit/test_api.c
tests_unit_test_api_CPPFLAGS = $(UNIT_CPPFLAGS) \
	-DMODEL='"$(abs_top_srcdir)/models/vgg19-lite.safetensors"'
tests_unit_test_api_LDADD = libnst.la $(CMOCKA_LIBS)

EXTRA_DIST += %D%/cli/run-bats %D%/cli/net.py %D%/golden/train.py
SCRIPT_TESTS = %D%/floors.sh %D%/cli/random.sh %D%/cli/mutants.sh %D%/golden/reference.sh \
	%D%/golden/train.sh %D%/golden/look.sh %D%/neon.sh %D%/nvcc.sh \
	%D%/valgrind.sh %D%/web/run.sh %D%/web/sources.sh
EXTRA_DIST += $(SCRIPT_TESTS) %D%/valgrind.supp \
	%D%/web/all.mjs %D%/web/browser.mjs %D%/web/budget.mjs %D%/web/faults.mjs \
	%D%/web/flow.mjs %D%/web/gallery.mjs %D%/web/live.mjs %D%/web/look.mjs \
	%D%/web/pictures.mjs %D%/web/play.mjs %D%/web/results.mjs %D%/web/server.mjs \
	%D%/web/shell.mjs %D%/web/shots.mjs %D%/web/start.mjs %D%/web/tap.mjs

check_PROGRAMS += $(ENGINE_TESTS) $(GRAD_TESTS)
TESTS += $(ENGINE_TESTS) $(GRAD_TESTS) $(SCRIPT_TESTS)
if HAVE_CMOCKA
check_PROGRAMS += $(UNIT_TESTS) tests/golden/pytorch tests/golden/train
TESTS += $(UNIT_TESTS)
endif

BATS_TESTS = %D%/cli/results.bats %D%/cli/refusals.bats %D%/cli/status.bats %D%/cli/signals.bats %D%/cli/system.bats \
	%D%/cli/memory.bats %D%/cli/blas.bats %D%/cli/device.bats %D%/cli/look.bats %D%/cli/compare.bats \
	%D%/cli/nets.bats %D%/cli/styles.bats %D%/cli/train.bats %D%/cli/resume.bats %D%/cli/model.bats %D%/cli/batch.bats \
	%D%/cli/scalenet.bats %D%/cli/net.bats \
	%D%/cli/frames.bats %D%/cli/film.bats %D%/cli/passes.bats \
	%D%/cli/completions.bats %D%/cli/recipes.bats \
	%D%/cli/slurm.bats %D%/cli/library.bats %D%/cli/history.bats %D%/cli/manual.bats
if SERVE
TESTS += $(HTTP_TESTS)
# not a test itself, so that it is built whatever tests are chosen
EXTRA_PROGRAMS += tests/http/no_landlock
check_DATA = tests/http/no_landlock
check_LTLIBRARIES = tests/http/taken_over.la
endif
tests_http_no_landlock_SOURCES = %D%/http/no_landlock.c
tests_http_taken_over_la_SOURCES = %D%/http/taken_over.c %D%/escapes.h
tests_http_taken_over_la_CPPFLAGS = $(AM_CPPFLAGS) -I$(srcdir)/%D%
# not installed; a path is what makes libtool build a library to load
tests_http_taken_over_la_LDFLAGS = -module -avoid-version -rpath /nowhere
HTTP_TESTS = %D%/http/api.bats %D%/http/contract.bats %D%/http/tasks.bats %D%/http/identity.bats \
	%D%/http/animations.bats %D%/http/nets.bats %D%/http/lifecycle.bats %D%/http/tenants.bats \
	%D%/http/openapi.bats %D%/http/hostile.bats \
	%D%/http/uploads.bats %D%/http/renditions.bats %D%/http/previews.bats \
	%D%/http/sandbox.bats %D%/http/edges.bats \
	%D%/http/larger.bats %D%/http/share.bats %D%/http/transfers.bats %D%/http/operators.bats \
	%D%/http/soak.bats \
	%D%/http/deploy.bats %D%/http/site.bats %D%/http/redis.bats %D%/http/gpu.bats
EXTRA_DIST += $(HTTP_TESTS) %D%/http/helper.bash %D%/http/network.bash %D%/http/client.py \
	%D%/http/bombs.py %D%/http/hang.py %D%/http/malformed.py %D%/http/metrics.py \
	%D%/http/openapi.py %D%/http/private.py %D%/http/receiver.py %D%/http/schema.py %D%/http/soak.py \
	%D%/http/site/apt-get %D%/http/site/certbot %D%/http/site/check \
	%D%/http/site/enter %D%/http/site/systemctl \
	%D%/http/package.json %D%/http/package-lock.json %D%/http/validate.mjs
# in real GIMP, where it is installed
GIMP_TESTS = %D%/gimp/plugin.bats %D%/gimp/dialog.bats
EXTRA_DIST += $(GIMP_TESTS) %D%/gimp/helper.bash %D%/gimp/window.bash
TESTS += $(BATS_TESTS) $(GIMP_TESTS)
EXTRA_DIST += $(BATS_TESTS) %D%/cli/helper.bash %D%/data/tiny.json \
	%D%/data/tiny-plain.pth %D%/data/tiny-lpips-alex.safetensors \
	%D%/data/tiny-lpips-vgg.safetensors %D%/data/tiny-zip.pth

# for scripts/check, which runs all but the long ones
list-tests:
	@echo $(TESTS)
.PHONY: list-tests

# never part of check: it goes on as long as it is told to, and wants clang
EXTRA_PROGRAMS += tests/fuzz/fuzz
tests_fuzz_fuzz_SOURCES = %D%/fuzz/fuzz.c %D%/fuzz/fuzz_serve.c %D%/fuzz/fuzz_serve.h \
	$(PTH_SOURCES) src/serve/http/conditional.c src/serve/http/response.c \
	src/serve/sandbox.c src/serve/sandbox_calls.c src/serve/sandbox_files.c \
	src/serve/init_image.c src/serve/log.c src/serve/log_file.c src/serve/owners.c \
	src/serve/http/multipart.c src/serve/request_record.c src/serve/request_value.c \
	src/serve/pictures.c src/serve/request.c src/serve/store.c src/serve/labels.c src/serve/styles.c \
	src/serve/strip/copy.c src/serve/strip/gif.c src/serve/strip/heif.c \
	src/serve/strip/jpeg.c src/serve/strip/png.c src/serve/strip/strip.c \
	src/serve/strip/tiff.c src/serve/strip/webp.c
tests_fuzz_fuzz_CPPFLAGS = $(AM_CPPFLAGS) $(JANSSON_CFLAGS) $(ARCHIVE_CFLAGS) \
	$(SERVE_CFLAGS) -I$(srcdir)/%D%/fuzz \
	$(VIPS_CFLAGS)
tests_fuzz_fuzz_LDFLAGS = $(AM_LDFLAGS) -fsanitize=fuzzer
tests_fuzz_fuzz_LDADD = libnst-run.la $(ARCHIVE_LIBS) $(SERVE_LIBS)
EXTRA_DIST += %D%/fuzz/run.sh
CLEANFILES += tests/fuzz/fuzz$(EXEEXT)

# never part of check: what it says depends on what else the machine does
EXTRA_PROGRAMS += tests/bench/bench
tests_bench_bench_SOURCES = %D%/bench/bench.c
tests_bench_bench_CFLAGS = $(ISA_CFLAGS)
tests_bench_bench_LDADD = $(CORE_LIBS)
EXTRA_DIST += %D%/bench/bench.sh %D%/bench/backends.sh %D%/bench/batch.sh %D%/bench/serve.sh %D%/bench/recipe.sh \
	%D%/bench/films.py %D%/bench/borders.py %D%/bench/torch_gpu.py %D%/bench/torch_recipe.py
CLEANFILES += bench.jsonl tests/bench/bench$(EXEEXT)
bench: all tests/bench/bench$(EXEEXT)
	BENCH='$(abs_top_builddir)/tests/bench/bench' srcdir='$(abs_top_srcdir)' \
	    COMPILER="`$(CC) --version | head -n 1`" '$(top_srcdir)'/%D%/bench/bench.sh
	for script in batch serve; do \
	    LD_LIBRARY_PATH='$(abs_top_builddir)/.libs' NST='$(abs_top_builddir)/.libs/nst' \
	        srcdir='$(abs_top_srcdir)' '$(top_srcdir)'/%D%/bench/$$script.sh || exit; \
	done
.PHONY: bench
