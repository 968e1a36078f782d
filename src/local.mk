# The floors, lowest first: see docs/ARCHITECTURE.md.
noinst_LIBRARIES += libnst-engine.a libnst-job.a libnst-files.a
bin_PROGRAMS += nst nst-compare nst-history nst-model nst-style

# The inner loops, compiled once for each instruction set. A product and a sum may be
# one instruction, which -std=c11 alone does not allow.
ISA_CFLAGS = $(AM_CFLAGS) -ffp-contract=fast
BLOCKED_SOURCES = %D%/kernels/blocked_products.c %D%/kernels/blocked_rows.c \
	%D%/kernels/vectors_isa.c \
	%D%/kernels/blocked.h %D%/kernels/blocked_isa.h %D%/kernels/vectors.h
# NEON, which every 64-bit ARM has, has twice the registers of plain x86-64.
if AARCH64
BASE_COLUMNS = 8
else
BASE_COLUMNS = 6
endif
ISA_LIBS = libnst-isa-base.a
libnst_isa_base_a_SOURCES = $(BLOCKED_SOURCES)
libnst_isa_base_a_CPPFLAGS = $(AM_CPPFLAGS) \
	-DNST_ISA=base -DNST_LANES=4 -DNST_COLUMNS=$(BASE_COLUMNS)
libnst_isa_base_a_CFLAGS = $(ISA_CFLAGS)
if X86_64
ISA_LIBS += libnst-isa-avx2.a libnst-isa-avx512.a
libnst_isa_avx2_a_SOURCES = $(BLOCKED_SOURCES)
libnst_isa_avx2_a_CPPFLAGS = $(AM_CPPFLAGS) \
	-DNST_ISA=avx2 -DNST_LANES=8 -DNST_COLUMNS=6
libnst_isa_avx2_a_CFLAGS = $(ISA_CFLAGS) -march=x86-64-v3
libnst_isa_avx512_a_SOURCES = $(BLOCKED_SOURCES)
libnst_isa_avx512_a_CPPFLAGS = $(AM_CPPFLAGS) \
	-DNST_ISA=avx512 -DNST_LANES=16 -DNST_COLUMNS=14
libnst_isa_avx512_a_CFLAGS = $(ISA_CFLAGS) -march=x86-64-v4 -mprefer-vector-width=512
endif
noinst_LIBRARIES += $(ISA_LIBS)
ENGINE_LIBS = libnst-engine.a $(ISA_LIBS)

# floors 0 to 2: libc alone
libnst_engine_a_SOURCES = \
	%D%/base/err.c %D%/base/err.h \
	%D%/base/limits.c %D%/base/limits.h \
	%D%/base/mem.c %D%/base/mem.h \
	%D%/base/place.c %D%/base/place.h \
	%D%/base/threads.c %D%/base/threads.h \
	%D%/tensor/tensor.h \
	%D%/kernels/kernels.h %D%/kernels/kernels_c.c \
	%D%/kernels/blocked.h %D%/kernels/vectors.h %D%/kernels/dispatch.c \
	%D%/backend/backend.c %D%/backend/backend.h \
	%D%/backend/scalar.c \
	%D%/backend/cpu/cpu.h %D%/backend/cpu/cpu.c \
	%D%/backend/cpu/winograd.c %D%/backend/cpu/patches.c \
	%D%/backend/cpu/join.c %D%/backend/cpu/gram.c

# floors 3 to 5: jansson besides
libnst_job_a_SOURCES = \
	%D%/model/taps.c %D%/model/taps.h \
	%D%/model/safetensors.c %D%/model/safetensors.h \
	%D%/model/weights.c %D%/model/weights.h \
	%D%/model/search.c %D%/model/search.h \
	%D%/model/vgg.c %D%/model/vgg.h \
	%D%/model/normalise.c %D%/model/normalise.h \
	%D%/style/content_loss.c %D%/style/content_loss.h \
	%D%/style/statistics.c %D%/style/statistics.h \
	%D%/style/kept.c %D%/style/kept.h \
	%D%/style/gram_loss.c %D%/style/gram_loss.h \
	%D%/style/moment_loss.c %D%/style/moment_loss.h \
	%D%/style/guide.c %D%/style/guide.h \
	%D%/style/variation.c %D%/style/variation.h \
	%D%/style/temporal_loss.c %D%/style/temporal_loss.h \
	%D%/style/tiling.c %D%/style/tiling.h \
	%D%/style/walk.c %D%/style/walk.h \
	%D%/style/pack.c %D%/style/pack.h \
	%D%/style/objective.c %D%/style/objective.h \
	%D%/optim/optim.h %D%/optim/state.h \
	%D%/optim/vector.c %D%/optim/vector.h \
	%D%/optim/pairs.c %D%/optim/pairs.h \
	%D%/optim/lbfgs.c %D%/optim/lbfgs.h \
	%D%/optim/adam.c %D%/optim/adam.h \
	%D%/optim/tutorial.c %D%/optim/tutorial.h \
	%D%/job/options.c %D%/job/options.h \
	%D%/job/regions.c %D%/job/regions.h \
	%D%/job/scales.c %D%/job/scales.h \
	%D%/job/colours.c %D%/job/colours.h \
	%D%/job/plan.c %D%/job/plan.h \
	%D%/job/job.c %D%/job/job.h
libnst_job_a_CPPFLAGS = $(AM_CPPFLAGS) $(JANSSON_CFLAGS) -DPKGDATADIR='"$(pkgdatadir)"'

# floor 6: pictures and records
libnst_files_a_SOURCES = \
	%D%/image/picture.h %D%/image/origin.h \
	%D%/image/input.c %D%/image/input.h %D%/image/colour.c \
	%D%/image/load.c %D%/image/metadata.c \
	%D%/image/output.h %D%/image/save.c %D%/image/pixels.c \
	%D%/image/frames.c %D%/image/frames.h %D%/image/y4m.c %D%/image/y4m.h \
	%D%/record/record.c %D%/record/record.h \
	%D%/record/checkpoint.c %D%/record/checkpoint.h \
	%D%/record/history.c %D%/record/history.h \
	%D%/record/digest.c %D%/record/digest.h \
	%D%/record/preset.c %D%/record/preset.h \
	%D%/quality/lpips.c %D%/quality/lpips.h \
	%D%/quality/quality.c %D%/quality/quality.h
libnst_files_a_CPPFLAGS = $(AM_CPPFLAGS) $(VIPS_CFLAGS) $(JANSSON_CFLAGS)

# floor 7: the programs
nst_SOURCES = %D%/cli/nst.c %D%/cli/adapt.c %D%/cli/adapt.h %D%/cli/args.c %D%/cli/args.h \
	%D%/cli/batch.c %D%/cli/batch.h %D%/cli/making.c %D%/cli/making.h \
	%D%/cli/film.c %D%/cli/film.h \
	%D%/cli/side.c %D%/cli/side.h %D%/cli/scale.c %D%/cli/scale.h \
	%D%/cli/styles.c %D%/cli/styles.h %D%/cli/stylise.c %D%/cli/stylise.h \
	%D%/cli/dryrun.c %D%/cli/dryrun.h %D%/cli/progress.c %D%/cli/progress.h
nst_LDADD = $(NST_LIBS)
# main() of all but nst
PROGRAM = %D%/cli/program.c %D%/cli/program.h
nst_history_SOURCES = %D%/cli/history.c $(PROGRAM)
nst_history_LDADD = $(NST_LIBS)
nst_compare_SOURCES = %D%/cli/compare.c $(PROGRAM)
nst_compare_LDADD = $(NST_LIBS)
# the only one that reads zip files
nst_model_SOURCES = %D%/cli/model.c $(PROGRAM) %D%/model/pickle.c %D%/model/pickle.h \
	%D%/model/pth.c %D%/model/pth.h
nst_model_CPPFLAGS = $(AM_CPPFLAGS) $(ARCHIVE_CFLAGS)
nst_model_LDADD = $(NST_LIBS) $(ARCHIVE_LIBS)
nst_style_SOURCES = %D%/cli/style.c $(PROGRAM)
nst_style_LDADD = $(NST_LIBS)

NST_LIBS = libnst-files.a libnst-job.a $(ENGINE_LIBS) $(VIPS_LIBS) $(JANSSON_LIBS)
