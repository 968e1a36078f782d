# The floors, lowest first: see docs/ARCHITECTURE.md.
noinst_LTLIBRARIES += libnst-util.la libnst-engine.la libnst-core.la libnst-run.la
lib_LTLIBRARIES += libnst.la
bin_PROGRAMS += nst nst-compare nst-history nst-model nst-style nst-train

# The inner loops, compiled once for each instruction set. A product and a sum may be
# one instruction, which -std=c11 alone does not allow. Square roots and choices become
# vectors only if they neither set errno nor trap.
ISA_CFLAGS = $(AM_CFLAGS) -ffp-contract=fast -fno-math-errno -fno-trapping-math
ISA_SOURCES = %D%/kernels/nchw16c_gemm.c %D%/kernels/nchw16c_winograd.c \
	%D%/kernels/nchw16c_rows.c %D%/kernels/nchw16c_net.c \
	%D%/kernels/nchw16c_net_grad.c \
	%D%/kernels/vector_kernels.c %D%/kernels/flow_kernels.c \
	%D%/kernels/video_kernels.c %D%/kernels/video_kernels.h \
	%D%/kernels/nchw16c.h %D%/kernels/nchw16c_isa.h %D%/kernels/nchw16c_lines.h \
	%D%/kernels/padding.h %D%/kernels/vector_kernels.h %D%/kernels/flow_kernels.h
# NEON, which every 64-bit ARM has, has twice the registers of plain x86-64.
if AARCH64
BASE_NR = 8
else
BASE_NR = 6
endif
ISA_LIBS = libnst-isa-base.la
libnst_isa_base_la_SOURCES = $(ISA_SOURCES)
libnst_isa_base_la_CPPFLAGS = $(AM_CPPFLAGS) \
	-DNST_ISA=base -DNST_LANES=4 -DNST_NR=$(BASE_NR)
libnst_isa_base_la_CFLAGS = $(ISA_CFLAGS)
if X86_64
ISA_LIBS += libnst-isa-avx2.la libnst-isa-avx512.la
libnst_isa_avx2_la_SOURCES = $(ISA_SOURCES)
libnst_isa_avx2_la_CPPFLAGS = $(AM_CPPFLAGS) \
	-DNST_ISA=avx2 -DNST_LANES=8 -DNST_NR=6
libnst_isa_avx2_la_CFLAGS = $(ISA_CFLAGS) -march=x86-64-v3
libnst_isa_avx512_la_SOURCES = $(ISA_SOURCES)
libnst_isa_avx512_la_CPPFLAGS = $(AM_CPPFLAGS) \
	-DNST_ISA=avx512 -DNST_LANES=16 -DNST_NR=14
libnst_isa_avx512_la_CFLAGS = $(ISA_CFLAGS) -march=x86-64-v4 -mprefer-vector-width=512
endif
noinst_LTLIBRARIES += $(ISA_LIBS)

# Helpers, which are not part of the library's interface: the programs have a copy of
# their own. So they must have no state. Two more are among the sources of programs.
libnst_util_la_SOURCES = \
	%D%/base/alloc.c %D%/base/alloc.h \
	%D%/base/atomic_file.c %D%/base/atomic_file.h \
	%D%/base/line.c %D%/base/line.h \
	%D%/base/text_file.c %D%/base/text_file.h \
	%D%/base/clock.h %D%/base/path.h \
	%D%/model/data_path.c %D%/model/data_path.h \
	%D%/model/dtype.c %D%/model/dtype.h \
	%D%/model/vgg_names.c %D%/model/vgg_names.h
libnst_util_la_CPPFLAGS = $(AM_CPPFLAGS) -DPKGDATADIR='"$(pkgdatadir)"'

# floors 0 to 2: libc alone
libnst_engine_la_LIBADD = libnst-util.la $(ISA_LIBS)
libnst_engine_la_SOURCES = \
	%D%/base/err.c %D%/base/err.h \
	%D%/base/memory.c %D%/base/memory.h %D%/base/oom.c %D%/base/oom.h \
	%D%/base/image.h \
	%D%/base/template.c %D%/base/template.h \
	%D%/base/threads.c %D%/base/threads.h \
	%D%/base/version.c %D%/base/version.h \
	%D%/flow/flow.c %D%/flow/flow.h %D%/flow/flow_file.c %D%/flow/flow_internal.h \
	%D%/flow/follow.c %D%/flow/plane.c %D%/flow/refine.c %D%/flow/search.c \
	%D%/flow/warp.c \
	%D%/kernels/reference.h %D%/kernels/reference.c \
	%D%/kernels/net_reference.h %D%/kernels/net_reference.c \
	%D%/kernels/nchw16c.h %D%/kernels/vector_kernels.h \
	%D%/kernels/flow_kernels.h %D%/kernels/video_kernels.h \
	%D%/kernels/dispatch.c \
	%D%/backend/backend.c %D%/backend/backend.h %D%/backend/buffer.h \
	%D%/backend/cuda/cuda.h \
	%D%/backend/host.c %D%/backend/host.h %D%/backend/host_direction.c \
	%D%/backend/planar_conv.c %D%/backend/planar_conv.h \
	%D%/backend/host_reduce.c %D%/backend/host_reduce.h \
	%D%/backend/host_vectors.c \
	%D%/backend/host_losses.c %D%/backend/vector_ops.h %D%/backend/scalar.c \
	%D%/backend/net_ops.h %D%/backend/scalar_net.c %D%/backend/scalar_net.h \
	%D%/backend/net_grad_ops.h %D%/backend/scalar_net_grad.c \
	%D%/backend/open.c %D%/backend/tensor.h \
	%D%/backend/cpu/layout.h %D%/backend/cpu/scratch.c %D%/backend/cpu/cpu.c \
	%D%/backend/cpu/conv.h %D%/backend/cpu/conv.c %D%/backend/cpu/winograd.c \
	%D%/backend/cpu/direct.c %D%/backend/cpu/border.c %D%/backend/cpu/first_conv.c \
	%D%/backend/cpu/backward.c %D%/backend/cpu/gram.c \
	%D%/backend/cpu/net.h %D%/backend/cpu/net.c %D%/backend/cpu/net_conv.c \
	%D%/backend/cpu/net_picture.c \
	%D%/backend/cpu/net_grad.h %D%/backend/cpu/net_grad.c \
	%D%/backend/cpu/net_grad_conv.c %D%/backend/cpu/net_grad_down.c \
	%D%/backend/cpu/net_grad_weight.c %D%/backend/cpu/net_grad_picture.c

# the backend that loads a BLAS
if BLAS
noinst_LTLIBRARIES += libnst-blas.la
libnst_blas_la_SOURCES = %D%/backend/blas/blas.c %D%/backend/blas/blas.h \
	%D%/backend/blas/conv.c %D%/backend/blas/library.c %D%/backend/blas/parallel.c \
	%D%/backend/blas/sums.c
libnst_blas_la_CFLAGS = $(AM_CFLAGS) $(OPENMP_CFLAGS)
libnst_blas_la_LDFLAGS = $(AM_LDFLAGS) $(OPENMP_CFLAGS)
libnst_engine_la_LIBADD += libnst-blas.la
endif

# and, with --with-cuda, GPUs
CUDA_SOURCES = %D%/backend/cuda/backward.cu %D%/backend/cuda/conv.cu \
	%D%/backend/cuda/conv_grad.cu %D%/backend/cuda/cuda.cu \
	%D%/backend/cuda/device.cu %D%/backend/cuda/first_conv.cu \
	%D%/backend/cuda/first_conv_grad.cu %D%/backend/cuda/gram.cu \
	%D%/backend/cuda/graph.cu %D%/backend/cuda/implicit_gemm.cu \
	%D%/backend/cuda/lbfgs_coefficients.cu %D%/backend/cuda/lbfgs_direction.cu \
	%D%/backend/cuda/lbfgs_dots.cu %D%/backend/cuda/losses.cu \
	%D%/backend/cuda/reduction.cu %D%/backend/cuda/tensor.cu \
	%D%/backend/cuda/vectors.cu
CUDA_INCLUDES = %D%/backend/cuda/backward.cuh %D%/backend/cuda/conv.cuh \
	%D%/backend/cuda/device.cuh %D%/backend/cuda/epilogue.cuh \
	%D%/backend/cuda/lbfgs.cuh %D%/backend/cuda/operators.cuh \
	%D%/backend/cuda/packed.cuh %D%/backend/cuda/ptx.cuh \
	%D%/backend/cuda/reduction.cuh %D%/backend/cuda/region_gemm.cuh \
	%D%/backend/cuda/tile.cuh %D%/backend/cuda/vectors.cuh
EXTRA_DIST += $(CUDA_SOURCES) $(CUDA_INCLUDES)
if CUDA
if FAKE_CUDA
CUDA_OBJECTS = $(CUDA_SOURCES:.cu=.lo) $(FAKE_CUDA_SOURCES:.cc=.lo)
CUDA_NEEDS = $(FAKE_CUDA)
CUDA_COMPILE = $(CXX) -std=c++20 -x c++ -I$(srcdir)/tests/fakecuda $(AM_CPPFLAGS) \
	-Wall -Wextra -Wno-unknown-pragmas -Wno-missing-field-initializers -Wno-pass-failed \
	-DMAX_SCRATCH=100000 -DSIDE_SCRATCH=1000000 -DSUM_RUN=128 -DGRAM_LARGE=64 \
	-DMAX_SLICES=8 $(SANITIZER_CFLAGS) $(CFLAGS)
else
# nvcc does not know what libtool would add to make it position-independent
CUDA_OBJECTS = $(CUDA_SOURCES:.cu=.lo)
CUDA_COMPILE = $(NVCC) -prefer-non-pic -std=c++20 $(AM_CPPFLAGS) $(NVCCFLAGS) \
	--compiler-options=-fPIC,-Wall,-Wextra,-Wno-missing-field-initializers
endif
libnst_engine_la_LIBADD += $(CUDA_OBJECTS) $(CUDA_LIBS)
$(CUDA_OBJECTS): $(CUDA_INCLUDES) $(CUDA_NEEDS) %D%/backend/backend.h \
	%D%/backend/buffer.h %D%/backend/tensor.h %D%/backend/vector_ops.h
CUDA_LTCOMPILE = $(AM_V_GEN)$(MKDIR_P) '$(@D)' && \
	$(LIBTOOL) $(AM_V_lt) --tag=CC --mode=compile $(CUDA_COMPILE) -c -o $@ $<
.cu.lo:
	$(CUDA_LTCOMPILE)
.cc.lo:
	$(CUDA_LTCOMPILE)
endif

# floors 3 to 5: jansson besides
libnst_core_la_SOURCES = \
	%D%/model/layers.c %D%/model/layers.h \
	%D%/model/safetensors.c %D%/model/safetensors.h \
	%D%/model/weights.c %D%/model/weights.h \
	%D%/model/paths.c %D%/model/paths.h \
	%D%/model/models.c %D%/model/models.h \
	%D%/model/vgg.c %D%/model/vgg.h \
	%D%/model/input.c %D%/model/input.h \
	%D%/model/normalise.c %D%/model/normalise.h \
	%D%/model/jpeg.h \
	%D%/net/layers.c %D%/net/maps.c %D%/net/net.c %D%/net/net_internal.h %D%/net/net.h \
	%D%/net/parameters.h %D%/net/net_file.c %D%/net/net_file.h \
	%D%/net/tape.c %D%/net/tape.h \
	%D%/style/content_loss.c %D%/style/content_loss.h \
	%D%/style/statistics.c %D%/style/statistics.h \
	%D%/style/statistics_cache.c %D%/style/statistics_cache.h \
	%D%/style/gram_loss.c %D%/style/gram_loss.h \
	%D%/style/moment_loss.c %D%/style/moment_loss.h \
	%D%/style/guidance.c %D%/style/guidance.h \
	%D%/style/pixel_losses.c %D%/style/pixel_losses.h \
	%D%/style/tiling.c %D%/style/tiling.h \
	%D%/style/tiled_pass.c %D%/style/tiled_pass.h \
	%D%/style/pack.c %D%/style/pack.h %D%/style/pack_file.c %D%/style/pack_internal.h \
	%D%/style/objective.c %D%/style/objective.h \
	%D%/style/objective_new.c %D%/style/objective_internal.h \
	%D%/optim/optim.h %D%/optim/serialise.h \
	%D%/optim/vector.c %D%/optim/vector.h \
	%D%/optim/lbfgs_history.c %D%/optim/lbfgs_history.h \
	%D%/optim/lbfgs.c %D%/optim/lbfgs.h \
	%D%/optim/adam.c %D%/optim/adam.h \
	%D%/style/colour_transfer.c %D%/style/colour_transfer.h \
	%D%/optim/evaluation.h \
	%D%/options/params.c %D%/options/params.h \
	%D%/options/table.c %D%/options/table.h \
	%D%/options/json.c %D%/options/json.h \
	%D%/options/preset.c %D%/options/preset.h \
	%D%/options/describe.c %D%/options/describe.h \
	%D%/session/session.c %D%/session/session.h \
	%D%/session/devices.c %D%/session/devices.h
libnst_core_la_LIBADD = libnst-engine.la $(JANSSON_LIBS)
libnst_core_la_CPPFLAGS = $(AM_CPPFLAGS) $(JANSSON_CFLAGS) -DPKGDATADIR='"$(pkgdatadir)"'

# floors 6 and 7: pictures, records, and whole runs
libnst_run_la_SOURCES = \
	%D%/image/colour.c %D%/image/colour.h %D%/image/frames.c %D%/image/frames.h \
	%D%/image/decode.c %D%/image/decode.h \
	%D%/image/input.c %D%/image/input.h %D%/image/load.c %D%/image/load.h \
	%D%/image/load_internal.h %D%/image/metadata.c %D%/image/metadata.h \
	%D%/image/metadata_internal.h %D%/image/modules.c %D%/image/modules.h \
	%D%/image/room.c %D%/image/room.h \
	%D%/image/pages.c %D%/image/pages.h \
	%D%/image/picture.c %D%/image/picture.h \
	%D%/image/pixels.c %D%/image/pixels.h %D%/image/pnm.c %D%/image/pnm.h \
	%D%/image/samples.c %D%/image/samples.h %D%/image/save.c %D%/image/save.h %D%/image/save_internal.h \
	%D%/image/size.c %D%/image/size.h %D%/image/source_info.h \
	%D%/image/thumbnail.c %D%/image/thumbnail.h %D%/image/y4m.c %D%/image/y4m.h \
	%D%/image/y4m_colour.c %D%/image/y4m_colour.h \
	%D%/record/provenance.c %D%/record/provenance.h \
	%D%/record/checkpoint.c %D%/record/checkpoint.h %D%/record/checkpoint_internal.h \
	%D%/record/history.c %D%/record/history.h \
	%D%/record/sha256.c %D%/record/sha256.h \
	%D%/quality/lpips.c %D%/quality/lpips.h \
	%D%/quality/quality.c %D%/quality/quality.h \
	%D%/run/adapt.c %D%/run/adapt.h %D%/run/batch.c %D%/run/batch.h \
	%D%/run/frame_store.c %D%/run/frame_store.h %D%/run/estimate.c %D%/run/estimate.h \
	%D%/run/job.c %D%/run/job.h %D%/run/job_internal.h %D%/run/job_evaluate.c \
	%D%/run/job_optimise.c %D%/run/job_serialise.c \
	%D%/run/level.c %D%/run/level.h \
	%D%/run/net_film.c %D%/run/net_film.h %D%/run/net_run.c %D%/run/net_run.h \
	%D%/run/networks.c %D%/run/networks.h \
	%D%/run/picture_frames.c %D%/run/picture_job.c %D%/run/picture_job.h %D%/run/picture_record.c \
	%D%/run/frame_link.c %D%/run/frame_link.h %D%/run/picture_run.c \
	%D%/run/picture_run.h %D%/run/plan.c %D%/run/plan.h \
	%D%/run/preview.c %D%/run/preview.h %D%/run/pyramid.c %D%/run/pyramid.h \
	%D%/run/regions.c %D%/run/regions.h %D%/run/run.c %D%/run/run.h \
	%D%/run/report.c %D%/run/report.h %D%/run/series.c %D%/run/series.h %D%/run/styles.c %D%/run/styles.h \
	%D%/run/motion.c %D%/run/motion.h %D%/run/stylise.c %D%/run/stylise.h \
	%D%/run/temporal.c %D%/run/temporal.h \
	%D%/train/crop.c %D%/train/crop.h %D%/train/loss.c %D%/train/loss.h \
	%D%/train/photos.c %D%/train/photos.h %D%/train/random.h \
	%D%/train/scales.c %D%/train/scales.h \
	%D%/train/state.c %D%/train/state.h \
	%D%/train/styles.c %D%/train/styles.h %D%/train/train.c %D%/train/train.h \
	%D%/train/trainer.c %D%/train/trainer.h
libnst_run_la_CPPFLAGS = $(AM_CPPFLAGS) $(VIPS_CFLAGS) $(JANSSON_CFLAGS)
libnst_run_la_LIBADD = libnst-core.la $(VIPS_LIBS)

# The library: its interface is made of these headers, lowest floor first, each up to the
# comment "Not in nst.h", and nothing else of it is seen. Until version 1 any release may
# change it, and then its number.
INTERFACE = %D%/base/version.h %D%/base/err.h %D%/base/image.h %D%/base/oom.h \
	%D%/model/layers.h %D%/model/paths.h %D%/model/models.h %D%/model/weights.h \
	%D%/model/input.h %D%/model/normalise.h %D%/options/params.h %D%/options/table.h \
	%D%/session/session.h %D%/optim/evaluation.h \
	%D%/net/parameters.h %D%/net/net_file.h \
	%D%/style/pack.h %D%/image/picture.h %D%/image/load.h %D%/image/pixels.h \
	%D%/image/samples.h \
	%D%/image/save.h %D%/image/metadata.h %D%/image/thumbnail.h %D%/quality/quality.h %D%/quality/lpips.h \
	%D%/options/describe.h %D%/session/devices.h %D%/options/preset.h \
	%D%/record/checkpoint.h %D%/record/history.h %D%/run/batch.h %D%/run/pyramid.h \
	%D%/run/series.h %D%/run/run.h %D%/train/train.h
nst.h: $(INTERFACE) scripts/make-header %D%/local.mk configure.ac
	$(AM_V_GEN)cd '$(srcdir)' && scripts/make-header $(PACKAGE_VERSION) $(INTERFACE) >'$(abs_builddir)/$@.new'
	$(AM_V_at)mv $@.new $@
libnst.map: nst.h scripts/make-symbols
	$(AM_V_GEN)'$(srcdir)/scripts/make-symbols' nst.h >$@.new
	$(AM_V_at)mv $@.new $@
BUILT_SOURCES += nst.h
CLEANFILES += nst.h libnst.map
nodist_include_HEADERS = nst.h
pkgconfigdir = $(libdir)/pkgconfig
pkgconfig_DATA = nst.pc

libnst_la_SOURCES =
libnst_la_LIBADD = libnst-run.la
libnst_la_LDFLAGS = $(AM_LDFLAGS) -version-info 1:0:0 -no-undefined \
	-Wl,--version-script=libnst.map
EXTRA_libnst_la_DEPENDENCIES = libnst.map

# floor 8: the programs
# how each program starts and ends; like all helpers, a copy for each
EXIT = %D%/base/exit.c %D%/base/exit.h
nst_SOURCES = %D%/cli/nst.c $(EXIT) %D%/cli/args.c %D%/cli/args.h \
	%D%/cli/interrupt.c %D%/cli/interrupt.h \
	%D%/cli/dryrun.c %D%/cli/dryrun.h %D%/cli/progress.c %D%/cli/progress.h \
	%D%/options/json.c %D%/options/json.h
nst_LDFLAGS = $(AM_LDFLAGS) $(PROGRAM_LDFLAGS)
nst_LDADD = libnst-util.la libnst.la $(JANSSON_LIBS)
# main() of all but nst
PROGRAM = %D%/cli/program.c %D%/cli/program.h $(EXIT)
nst_history_SOURCES = %D%/cli/history.c %D%/cli/migrate.c %D%/cli/migrate.h $(PROGRAM) \
	%D%/options/json.c %D%/options/json.h \
	%D%/record/sha256.c %D%/record/sha256.h
nst_history_CPPFLAGS = $(AM_CPPFLAGS) $(GLIB_CFLAGS)
nst_history_LDFLAGS = $(AM_LDFLAGS) $(PROGRAM_LDFLAGS)
nst_history_LDADD = libnst-util.la libnst.la $(GLIB_LIBS) $(JANSSON_LIBS)
nst_compare_SOURCES = %D%/cli/compare.c $(PROGRAM)
nst_compare_LDFLAGS = $(AM_LDFLAGS) $(PROGRAM_LDFLAGS)
nst_compare_LDADD = libnst-util.la libnst.la $(JANSSON_LIBS)
nst_model_SOURCES = %D%/cli/model.c %D%/cli/model_net.c %D%/cli/model_net.h %D%/cli/import/pth.h \
	%D%/options/json.c %D%/options/json.h $(PTH_SOURCES) $(PROGRAM)
# Only pth_file.c needs libarchive.
if ARCHIVE
PTH_SOURCES = %D%/cli/import/pth.c %D%/cli/import/pth_file.c %D%/cli/import/pth_file.h \
	%D%/cli/import/pth_net.c %D%/cli/import/pth_net.h \
	%D%/cli/import/pickle.c %D%/cli/import/pickle.h
else
PTH_SOURCES = %D%/cli/import/no_pth.c
endif
nst_model_CPPFLAGS = $(AM_CPPFLAGS) $(ARCHIVE_CFLAGS)
nst_model_LDFLAGS = $(AM_LDFLAGS) $(PROGRAM_LDFLAGS)
nst_model_LDADD = libnst-util.la libnst.la $(ARCHIVE_LIBS) $(JANSSON_LIBS)
nst_style_SOURCES = %D%/cli/style.c %D%/cli/style.h %D%/cli/style_list.c \
	%D%/cli/style_main.c %D%/cli/style_make.c $(PROGRAM)
nst_style_LDFLAGS = $(AM_LDFLAGS) $(PROGRAM_LDFLAGS)
nst_style_LDADD = libnst-util.la libnst.la $(JANSSON_LIBS)
nst_train_SOURCES = %D%/cli/train.c %D%/cli/interrupt.c %D%/cli/interrupt.h \
	%D%/cli/progress.c %D%/cli/progress.h \
	%D%/options/json.c %D%/options/json.h $(PROGRAM)
nst_train_LDFLAGS = $(AM_LDFLAGS) $(PROGRAM_LDFLAGS)
nst_train_LDADD = libnst-util.la libnst.la $(JANSSON_LIBS)

# the service, which is a program too
if SERVE
bin_PROGRAMS += nst-serve
endif
nst_serve_SOURCES = $(EXIT) %D%/serve/clock.h %D%/serve/compare.c %D%/serve/compare.h \
	%D%/serve/figures.c %D%/serve/figures.h %D%/serve/film.c %D%/serve/film.h \
	%D%/serve/gpu.c %D%/serve/gpu.h \
	%D%/serve/idempotency.c %D%/serve/idempotency.h %D%/serve/identity.h \
	%D%/serve/init_image.c %D%/serve/init_image.h \
	%D%/serve/lifetime.c %D%/serve/lifetime.h %D%/serve/log.c %D%/serve/log.h \
	%D%/serve/log_file.c %D%/serve/log_file.h \
	%D%/serve/metric_text.c %D%/serve/metric_text.h \
	%D%/serve/metrics.c %D%/serve/metrics.h \
	%D%/serve/monitor.c %D%/serve/monitor.h %D%/serve/openapi.c %D%/serve/openapi.h \
	%D%/serve/options.c %D%/serve/options.h %D%/serve/owners.c %D%/serve/owners.h \
	%D%/serve/pictures.c %D%/serve/pictures.h \
	%D%/serve/png_text.c %D%/serve/png_text.h \
	%D%/serve/previews.c %D%/serve/previews.h \
	%D%/serve/public_address.c %D%/serve/public_address.h \
	%D%/serve/quality.c %D%/serve/quality.h %D%/serve/repair.c %D%/serve/repair.h \
	%D%/serve/request.c %D%/serve/request.h \
	%D%/serve/request_record.c %D%/serve/request_check.c %D%/serve/request_check.h \
	%D%/serve/request_value.c %D%/serve/request_value.h \
	%D%/serve/routes.c %D%/serve/routes.h %D%/serve/sandbox.c %D%/serve/sandbox.h \
	%D%/serve/sandbox_calls.c %D%/serve/sandbox_calls.h \
	%D%/serve/sandbox_files.c %D%/serve/sandbox_files.h \
	%D%/serve/serve.c %D%/serve/settings.h %D%/serve/sides.c %D%/serve/sides.h \
	%D%/serve/share.c %D%/serve/share.h %D%/serve/share_page.c %D%/serve/share_page.h \
	%D%/serve/share_picture.c %D%/serve/share_picture.h \
	%D%/serve/share_store.c %D%/serve/share_store.h \
	%D%/serve/store.c %D%/serve/store.h \
	%D%/serve/styles.c %D%/serve/styles.h %D%/serve/sweep.c %D%/serve/sweep.h \
	%D%/serve/hooks.c %D%/serve/hooks.h %D%/serve/labels.c %D%/serve/labels.h %D%/serve/presets.c %D%/serve/presets.h \
	%D%/serve/task_routes.c %D%/serve/task_routes.h \
	%D%/serve/upload_routes.c %D%/serve/upload_routes.h %D%/serve/usage.c %D%/serve/usage.h \
	%D%/serve/watchdog.c %D%/serve/watchdog.h \
	%D%/serve/webhook.c %D%/serve/webhook.h \
	%D%/serve/webhook_send.c %D%/serve/webhook_send.h \
	%D%/serve/http/access_log.c %D%/serve/http/access_log.h \
	%D%/serve/http/address.c %D%/serve/http/address.h \
	%D%/serve/strip/copy.c %D%/serve/strip/copy.h %D%/serve/strip/gif.c \
	%D%/serve/strip/heif.c %D%/serve/strip/jpeg.c \
	%D%/serve/strip/png.c %D%/serve/strip/strip.c %D%/serve/strip/strip.h \
	%D%/serve/strip/tiff.c \
	%D%/serve/strip/webp.c \
	%D%/serve/http/auth.c %D%/serve/http/auth.h \
	%D%/serve/http/conditional.c %D%/serve/http/conditional.h \
	%D%/serve/http/connections.c %D%/serve/http/connections.h \
	%D%/serve/http/encoding.c %D%/serve/http/encoding.h \
	%D%/serve/http/cookie.c %D%/serve/http/cookie.h \
	%D%/serve/http/events.c %D%/serve/http/events.h \
	%D%/serve/http/framing.c %D%/serve/http/framing.h \
	%D%/serve/http/limiter.c %D%/serve/http/limiter.h \
	%D%/serve/http/listen.c %D%/serve/http/listen.h \
	%D%/serve/http/pools.c %D%/serve/http/pools.h \
	%D%/serve/http/record.c %D%/serve/http/record.h \
	%D%/serve/http/multipart.c %D%/serve/http/multipart.h \
	%D%/serve/http/response.c %D%/serve/http/response.h \
	%D%/serve/http/server.c %D%/serve/http/server.h \
	%D%/serve/http/sign_in.c %D%/serve/http/sign_in.h \
	%D%/serve/http/statistics.c %D%/serve/http/statistics.h \
	%D%/serve/http/static_files.c %D%/serve/http/static_files.h \
	%D%/serve/http/tokens.c %D%/serve/http/tokens.h \
	%D%/serve/http/upload.c %D%/serve/http/upload.h \
	%D%/serve/queue/fair.c %D%/serve/queue/fair.h \
	%D%/serve/queue/local.c %D%/serve/queue/local_runner.c \
	%D%/serve/queue/local_runner.h %D%/serve/queue/queue.c %D%/serve/queue/queue.h \
	%D%/serve/queue/redis.c %D%/serve/queue/redis.h \
	%D%/serve/queue/redis_lists.c %D%/serve/queue/redis_lists.h \
	%D%/serve/queue/redis_queue.c \
	%D%/serve/queue/redis_scripts.c %D%/serve/queue/redis_scripts.h \
	%D%/serve/queue/redis_task.c %D%/serve/queue/redis_task.h \
	%D%/serve/queue/room.c %D%/serve/queue/room.h \
	%D%/serve/queue/runner.c %D%/serve/queue/runner.h \
	%D%/serve/queue/spent.c %D%/serve/queue/spent.h \
	%D%/serve/queue/task.c %D%/serve/queue/task.h \
	%D%/serve/queue/task_table.c %D%/serve/queue/task_table.h \
	%D%/serve/queue/worker.c
nodist_nst_serve_SOURCES = %D%/serve/queue/redis_lua.h
nst_serve_CPPFLAGS = $(AM_CPPFLAGS) -I%D% $(SERVE_CFLAGS) $(CURL_CFLAGS) \
	$(JANSSON_CFLAGS)
nst_serve_LDFLAGS = $(AM_LDFLAGS) $(PROGRAM_LDFLAGS)
nst_serve_LDADD = libnst-util.la libnst.la $(SERVE_LIBS) $(CURL_LIBS) $(JANSSON_LIBS)

# The scripts of the queue on Redis, as macros: LUA_ADD is the text of add.lua, without
# comments.
SERVE_LUA = %D%/serve/queue/common.lua %D%/serve/queue/common_end.lua \
	%D%/serve/queue/add.lua %D%/serve/queue/cancel.lua %D%/serve/queue/claim.lua \
	%D%/serve/queue/cleanup_done.lua %D%/serve/queue/cleanup_due.lua \
	%D%/serve/queue/count.lua %D%/serve/queue/delete.lua \
	%D%/serve/queue/delete_task.lua %D%/serve/queue/finish.lua \
	%D%/serve/queue/get.lua %D%/serve/queue/heartbeat.lua %D%/serve/queue/history.lua \
	%D%/serve/queue/observe.lua %D%/serve/queue/order.lua %D%/serve/queue/range.lua \
	%D%/serve/queue/release.lua %D%/serve/queue/stop.lua %D%/serve/queue/usage.lua
%D%/serve/queue/redis_lua.h: $(SERVE_LUA)
	$(AM_V_GEN)$(MKDIR_P) '$(@D)'
	$(AM_V_at)cd '$(srcdir)' && for f in $(SERVE_LUA); do \
		printf '\n#define LUA_%s \\\n' "`basename $$f .lua | tr a-z A-Z`"; \
		sed -e '/^--/d' -e '/^$$/d' -e 's/[\\"]/\\&/g' -e 's/.*/    "&\\n" \\/' $$f || exit; \
	done >'$(abs_builddir)/$@.new' && echo >>'$(abs_builddir)/$@.new'
	$(AM_V_at)mv $@.new $@
EXTRA_DIST += $(SERVE_LUA)
BUILT_SOURCES += %D%/serve/queue/redis_lua.h
CLEANFILES += %D%/serve/queue/redis_lua.h

# the plug-in for GIMP, which is a program too
if GIMP
nstplugindir = $(gimpplugindir)/nst
nstplugin_PROGRAMS = src/gimp/nst
endif
src_gimp_nst_SOURCES = %D%/gimp/dialog.c %D%/gimp/dialog.h %D%/gimp/main.c \
	%D%/gimp/output.c %D%/gimp/output.h %D%/gimp/paint.c %D%/gimp/paint.h %D%/gimp/preview.c %D%/gimp/preview.h \
	%D%/gimp/region.c %D%/gimp/region.h %D%/gimp/settings.c %D%/gimp/settings.h \
	%D%/gimp/stage.c %D%/gimp/stage.h %D%/gimp/styles.c %D%/gimp/styles.h \
	%D%/gimp/task.c %D%/gimp/task.h %D%/gimp/view.c %D%/gimp/view.h
src_gimp_nst_CPPFLAGS = $(AM_CPPFLAGS) $(GIMP_CFLAGS) -DGIMP_DISABLE_DEPRECATED
src_gimp_nst_LDFLAGS = $(AM_LDFLAGS) $(PROGRAM_LDFLAGS)
src_gimp_nst_LDADD = libnst-util.la libnst.la $(GIMP_LIBS)
